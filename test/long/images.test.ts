import { execa } from "execa";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../src/dev/servers/free-port.ts";
import { type Engine, openEngine, whyNoEngine } from "../kit/containers/engine.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

const MB = 1_000_000;
const GRACE_SEC = 30;
const why = await whyNoEngine();

describe.skipIf(why !== null)(`the images, built and run by podman${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let engine: Engine;
  let stack: TestStack;
  let orchestrator: string;
  let port: number;
  let baseBytes: number;
  let orchestratorBytes: number;
  beforeAll(async () => {
    port = await freePort();
    engine = await openEngine();
    ({ name: orchestrator, bytes: orchestratorBytes } = await engine.build("orchestrator"));
    const { name: gpuWorker } = await engine.build("gpu-worker");
    const base = await engine.podman(["image", "inspect", "--format", "{{.Size}}", "docker.io/library/node:24-slim"]);
    baseBytes = Number(base.stdout);
    const variables = ["WORKER_*", "SUPABASE_*", "RUNPOD_*", "POD_*", "GPU_POOL*", "DB_TYPE", "POSTGRES_TABLE_NAME"];
    const args = engine.runCommand(["--rm", ...variables.flatMap((name) => ["--env", name]), gpuWorker]);
    stack = await startTestStack({ program: { command: "podman", args }, env: { LOG_LEVEL: "info" } });
  }, 1_800_000);
  afterAll(async () => {
    await stack?.close();
    await engine?.close();
  });

  async function inContainer(...command: string[]): Promise<string> {
    const { stdout, stderr } = await engine.podman(["exec", name(), ...command]);
    return stdout + stderr;
  }

  function name(): string {
    return `gpu-pool-${stack.pool}`;
  }

  /** Starts the orchestrator as docs/deployment/docker.md says: nothing to write to, no rights, the keys in files. */
  async function startOrchestrator(): Promise<void> {
    const { SUPABASE_SERVICE_ROLE_KEY = "", RUNPOD_API_KEY = "", ...env } = stack.env;
    const secrets = join(stack.directory, "secrets");
    await mkdir(secrets);
    await chmod(stack.directory, 0o711);
    await writeFile(join(secrets, "service-key"), `${SUPABASE_SERVICE_ROLE_KEY}\n`);
    await writeFile(join(secrets, "runpod-key"), `${RUNPOD_API_KEY}\n`);
    const file = join(stack.directory, "orchestrator.env");
    const all = {
      ...env,
      SUPABASE_SERVICE_ROLE_KEY_FILE: "/run/secrets/service-key",
      RUNPOD_API_KEY_FILE: "/run/secrets/runpod-key",
      HEALTH_PORT: String(port),
    };
    await writeFile(
      file,
      Object.entries(all)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(""),
    );
    const hardened = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"];
    const mounts = ["--volume", `${secrets}:/run/secrets:ro`, "--env-file", file];
    await execa("podman", engine.runCommand(["--detach", "--name", name(), ...hardened, ...mounts, orchestrator]));
  }

  it("the orchestrator's has no more than 200 MB beside its base", () => {
    expect(baseBytes).toBeGreaterThan(50 * MB);
    expect((orchestratorBytes - baseBytes) / MB).toBeLessThan(200);
  });

  it("they run a pool whose worker completes a task, and the orchestrator ends with 0 on SIGTERM within its grace", async () => {
    await startOrchestrator();
    const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status;
    await expect.poll(ready).toBe(200);
    expect(await inContainer("id", "-u")).toBe("1000");
    expect(await inContainer("cat", "/proc/1/comm")).toBe("tini");
    expect(await inContainer("touch", "/app/new")).toContain("Read-only file system");
    expect(await engine.podman(["healthcheck", "run", name()])).toMatchObject({ exitCode: 0 });
    expect(await inContainer("node", "deployment/docker/health-check.mjs")).toBe(
      `http://127.0.0.1:${port}/healthz: 200`,
    );

    await stack.startPool();
    await stack.submit(1);
    const statuses = async () =>
      (await stack.rows<{ status: string }>("select status from tasks")).map((row) => row.status);
    await expect.poll(statuses).toEqual(["Complete"]);
    expect(await inContainer("gpu-pool", "pool", "list")).toContain(stack.pool);

    await engine.podman(["stop", "--time", String(GRACE_SEC), name()]);
    const { stdout: exitCode } = await engine.podman(["inspect", "--format", "{{.State.ExitCode}}", name()]);
    expect(exitCode).toBe("0");
  });

  it("the orchestrator's migrates a database, and says that gpu-pool dev is not in it", async () => {
    const run = async (...args: string[]) => {
      const { exitCode, stdout, stderr } = await execa("podman", engine.runCommand(["--rm", ...args]), {
        reject: false,
      });
      return { exitCode, text: stdout + stderr };
    };
    const url = `SUPABASE_DB_URL=${stack.database.databaseUrl}`;
    expect(await run("--env", url, orchestrator, "db", "migrate")).toMatchObject({ exitCode: 0 });
    expect(await run(orchestrator, "dev")).toMatchObject({
      exitCode: 2,
      text: expect.stringContaining("does not contain the local stack of gpu-pool dev") as string,
    });
  });
});
