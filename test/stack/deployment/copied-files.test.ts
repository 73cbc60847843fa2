import { execa } from "execa";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { freePort } from "../../../src/dev/servers/free-port.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { layOutImages } from "../../kit/containers/image-layout.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

/** A process that ends later is killed, and has another exit code then. */
const GRACE_MS = 40_000;

describe("the files of the images, laid out by the COPY lines of their Dockerfiles, without an engine", () => {
  let stack: TestStack;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "gpu-pool-images-"));
    await layOutImages(["orchestrator", "gpu-worker"], folder, inject("shared").workflowBundle);
    // Images have it on PATH; the package with it is not in the folder of a pod's program.
    const ffmpeg = `FFMPEG_PATH=${await findFfmpeg(process.env["FFMPEG_PATH"] ?? null)}`;
    const main = join(folder, "gpu-worker/dist/src/gpu-worker/main.js");
    const program = { command: "/usr/bin/env", args: [ffmpeg, process.execPath, main] };
    stack = await startTestStack({ program, env: { LOG_LEVEL: "info" } });
  });
  afterAll(async () => {
    await stack?.close();
    await rm(folder, { recursive: true, force: true });
  });

  function start(args: readonly string[], env: Readonly<Record<string, string>>) {
    return execa(process.execPath, ["bin/gpu-pool.js", ...args], {
      cwd: join(folder, "orchestrator"),
      env: { PATH: process.env["PATH"], HOME: folder, NODE_ENV: "production", ...env },
      extendEnv: false,
      reject: false,
      forceKillAfterDelay: GRACE_MS,
    });
  }

  it("serve a pool, whose worker completes a task, with secrets in files, and end with 0 on SIGTERM within the grace", async () => {
    const { SUPABASE_SERVICE_ROLE_KEY = "", RUNPOD_API_KEY = "", ...env } = stack.env;
    const port = await freePort();
    await writeFile(join(folder, "service-key"), `${SUPABASE_SERVICE_ROLE_KEY}\n`);
    await writeFile(join(folder, "runpod-key"), RUNPOD_API_KEY);
    const orchestrator = start(["run"], {
      ...env,
      SUPABASE_SERVICE_ROLE_KEY_FILE: join(folder, "service-key"),
      RUNPOD_API_KEY_FILE: join(folder, "runpod-key"),
      HEALTH_PORT: String(port),
    });
    const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status;
    await expect.poll(ready).toBe(200);

    await stack.startPool();
    await stack.submit(1);
    const statuses = async () =>
      (await stack.rows<{ status: string }>("select status from tasks")).map((row) => row.status);
    await expect.poll(statuses).toEqual(["Complete"]);

    orchestrator.kill("SIGTERM");
    const { exitCode, signal, stderr } = await orchestrator;
    expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: undefined, stderr: "" });
  });

  it("migrate a database, can serve the gateway, and say that gpu-pool dev is not among them", async () => {
    const { SUPABASE_URL = "", SUPABASE_ANON_KEY = "", SUPABASE_SERVICE_ROLE_KEY = "" } = stack.env;
    const [migrated, gateway, dev] = await Promise.all([
      start(["db", "migrate"], { SUPABASE_DB_URL: stack.database.databaseUrl }),
      start(["gateway"], { SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_SERVICE_ROLE_KEY }),
      start(["dev"], {}),
    ]);
    expect(migrated).toMatchObject({ exitCode: 0, stdout: "nothing to do" });
    // It is there, and asks for the settings that it lacks.
    expect(gateway).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("GATEWAY_DB_URL is not set") as string,
    });
    expect(dev).toMatchObject({ exitCode: 2 });
    expect(dev.stderr).toMatch(/does not contain the local stack of gpu-pool dev \(package \S+ is missing\)/);
  });
});
