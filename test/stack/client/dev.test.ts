import { existsSync } from "node:fs";
import { mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { processStartTime } from "../../../src/process/process-identity.ts";
import { withClient } from "../../../src/supabase/migrate.ts";
import { launchClient, runProcess } from "../../kit/client.ts";

const STACK_ENV = ".gpu-pool/dev/stack.env";
/** People run this command from a clone. */
const from = "clone";

let cwd = "";
let env: Record<string, string> = {};

beforeAll(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), "client-dev-")));
  env = { TEMPORAL_CLI_PATH: inject("shared").temporalBinary, LOG_LEVEL: "warn" };
});

afterAll(async () => {
  await rm(cwd, { recursive: true, force: true });
});

async function isListening(url: string): Promise<boolean> {
  return await fetch(url).then(
    async (answer) => {
      await answer.body?.cancel();
      return true;
    },
    () => false,
  );
}

describe("gpu-pool dev", () => {
  it("runs everything, serves the other commands, restarts its Temporal worker, and stops in order", async () => {
    const dev = launchClient(["dev", "--json"], { cwd, env: { ...env, SUPABASE_VIDEO_BUCKET: "clips" }, from });
    let stdout = "";
    let stderr = "";
    dev.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    dev.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    try {
      await expect.poll(() => stdout.includes("\n") || `${dev.exitCode}: ${stderr}`).toBe(true);
      const up = JSON.parse(stdout) as Record<string, string>;
      expect(up).toMatchObject({ pid: dev.pid, pool: "main", envFile: join(cwd, STACK_ENV) });
      expect(up["webUi"]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/gpu-pool%2Fmain$/);
      expect((await stat(join(cwd, STACK_ENV))).mode & 0o777).toBe(0o600);

      const second = await runProcess(["dev"], { cwd, env, from });
      expect(second).toMatchObject({ exitCode: 1 });
      expect(second.stderr).toContain(`process ${dev.pid} runs a stack in .gpu-pool/dev already`);

      const workers = async () => {
        const { stdout: pids } = await execa("pgrep", ["-P", String(dev.pid), "-f", "src/worker"], { reject: false });
        return pids.split("\n").filter((pid) => pid !== "");
      };
      const [worker] = await workers();
      process.kill(Number(worker), "SIGKILL");
      await expect.poll(() => stderr).toContain("Temporal worker died (SIGKILL); starting it again");
      await expect.poll(workers).not.toEqual([]);
      expect(await workers()).not.toContain(worker);

      const small = ["--frames", "8", "--fps", "8", "--width", "64", "--height", "64"];
      const done = await runProcess(["submit", "--prompt", "a cat", ...small, "--wait"], { cwd, env, from });
      expect(done).toMatchObject({ exitCode: 0 });
      expect(done.stderr).toContain(`using the stack that runs here (${STACK_ENV})`);
      expect(done.stdout).toContain("/storage/v1/object/public/clips/");
      expect(await isListening(done.stdout)).toBe(true);
      const status = await runProcess(["status", "--json", "--env-file", STACK_ENV], { cwd, env, from });
      expect(JSON.parse(status.stdout)).toMatchObject({
        controller: { state: "answers" },
        queue: { completeLastDay: 1 },
      });

      dev.kill("SIGINT");
      expect(await dev).toMatchObject({ exitCode: 0 });
      expect(stderr).toContain("gpu-pool: stopped");
      expect(existsSync(join(cwd, STACK_ENV))).toBe(false);
      expect(await isListening(up["api"] ?? "")).toBe(false);
      expect(await isListening(up["simulator"] ?? "")).toBe(false);
    } finally {
      dev.kill("SIGKILL");
    }
  });

  it("ends when one of its servers ends, with what that server printed last", async () => {
    const args = ["dev", "--json", "--no-worker", "--no-pool", "--data-dir", "ended"];
    const dev = launchClient(args, { cwd, env, from });
    let stdout = "";
    dev.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    await expect.poll(() => stdout || dev.exitCode).toContain("\n");
    const children = await execa("pgrep", ["-P", String(dev.pid), "-f", "postgrest"]);
    process.kill(Number(children.stdout), "SIGKILL");
    const { exitCode, stderr } = await dev;
    expect(exitCode).toBe(1);
    expect(stderr).toContain("gpu-pool: postgrest ended (SIGKILL)");
    expect(stderr).toContain("Start gpu-pool dev again");
    expect(existsSync(join(cwd, "ended/stack.env"))).toBe(false);
  });

  it("reports wrong settings before it starts anything", async () => {
    const { exitCode, stderr } = await runProcess(["dev"], { cwd, env: { ...env, MAX_ACTIVE_GPUS: "many" }, from });
    expect(exitCode).toBe(2);
    expect(stderr).toContain("MAX_ACTIVE_GPUS=many");
    expect(stderr).not.toContain("Postgres");
  });

  it("ends with the npm that runs it, and refuses a data directory that an older text of a migration made", async () => {
    const dev = ["dev", "--json", "--no-worker", "--no-pool", "--data-dir", "old"];
    const home = await mkdtemp(join(cwd, "npm-"));
    const bin = join(import.meta.dirname, "../../../bin/gpu-pool.js");
    const scripts = { stack: `${process.execPath} ${bin} ${dev.join(" ")}` };
    await writeFile(join(home, "package.json"), JSON.stringify({ private: true, scripts }));
    const npm = execa("npm", ["run", "--silent", "stack"], { cwd: home, env, reject: false });
    let stdout = "";
    npm.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    await expect.poll(() => stdout).toContain("\n");
    const { pid, api } = JSON.parse(stdout) as { pid: number; api: string };
    const databaseUrl = parseEnv(await readFile(join(home, "old/stack.env"), "utf8"))["SUPABASE_DB_URL"] ?? "";
    await withClient(databaseUrl, (client) => client.query("alter table workers drop column drains_without_deadline"));
    npm.kill("SIGKILL");
    await expect.poll(() => processStartTime(pid)).toBeNull();
    await expect.poll(() => isListening(api)).toBe(false);
    await npm;

    const second = await runProcess(dev, { cwd: home, env, from });
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain(
      `the database in ${join(home, "old")} is not what the migrations of this version make`,
    );
    expect(second.stderr).toContain(
      "delete that directory, with the tasks in it, or choose another one with --data-dir",
    );
  });
});
