import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Docker, startDocker, whyNoCompose } from "../kit/compose/engine.ts";
import { buildStandIns } from "../kit/compose/stand-ins.ts";
import { openEngine, whyNoEngine } from "../kit/containers/engine.ts";
import { composeFile } from "../kit/deployment/compose.ts";

const FOLDER = fileURLToPath(new URL("../../deployment/compose/", import.meta.url));
const KIT = fileURLToPath(new URL("../kit/compose/", import.meta.url));
const why = (await whyNoEngine()) ?? (await whyNoCompose());
const orchestrator = composeFile("compose.yaml").services["worker"]!.image;

describe.skipIf(why !== null)(`compose.yaml, brought up by Docker${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let directory: string;
  let folder: string;
  let docker: Docker;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "compose-test-"));
    const engine = await openEngine();
    const { name } = await engine.build("orchestrator");
    const archive = join(directory, "orchestrator.tar");
    const saved = await engine.podman(["save", "--format", "docker-archive", "--output", archive, name]);
    expect([saved.exitCode, saved.stderr]).toEqual([0, expect.any(String)]);
    docker = await startDocker(join(directory, "docker"));
    await docker.docker(["load", "--input", archive]);
    await rm(archive);
    await docker.docker(["tag", name, orchestrator]);
    await buildStandIns(docker, orchestrator, join(directory, "stand-ins"));
    folder = join(directory, "compose");
    await cp(FOLDER, folder, { recursive: true });
    await cp(join(folder, "example.env"), join(folder, ".env"));
  }, 1_800_000);
  afterAll(async () => {
    await docker?.compose(folder, [...files, "down", "--volumes", "--timeout", "1"], variables);
    await docker?.close();
    await rm(directory, { recursive: true, force: true });
  }, 300_000);

  const files = ["-f", "compose.yaml", "-f", join(KIT, "simulator.yaml")];
  const variables = { SIMULATOR_PROGRAM: join(KIT, "simulator.mjs") };
  async function compose(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await docker.compose(folder, [...files, ...args], variables);
    expect([exitCode, args.join(" "), stderr]).toEqual([0, args.join(" "), stderr]);
    return stdout;
  }
  async function status(): Promise<Record<string, { State: string; Health: string; ExitCode: number }>> {
    const lines = (await compose("ps", "--all", "--format", "json")).split("\n");
    const services = lines.map(
      (line) => JSON.parse(line) as { Service: string; State: string; Health: string; ExitCode: number },
    );
    return Object.fromEntries(
      services.map(({ Service, State, Health, ExitCode }) => [Service, { State, Health, ExitCode }]),
    );
  }

  it("makes its secrets with the image, and refuses rented pods that could not reach the gateway", async () => {
    const secrets = join(folder, "secrets");
    await mkdir(secrets, { mode: 0o700 });
    const user = `${process.getuid!()}:${process.getgid!()}`;
    await docker.docker([
      "run",
      "--rm",
      "--user",
      user,
      "--volume",
      `${secrets}:/secrets`,
      orchestrator,
      "gateway",
      "secrets",
      "/secrets",
    ]);
    await writeFile(join(secrets, "runpod_api_key"), "rpa_simulated");
    await chmod(join(secrets, "runpod_api_key"), 0o444);
    const args = ["-f", "compose.yaml", "run", "--rm", "--no-deps", "worker"];
    const inner = await docker.compose(folder, args);
    expect(inner).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("SUPABASE_URL=http://gateway:54321: a rented pod"),
    });
    const clear = await docker.compose(folder, args, { SUPABASE_PUBLIC_URL: "http://gpu.example.com" });
    expect(clear).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("give an https address") });
  });

  it("is healthy as a whole, and a pool of it completes a task", async () => {
    await compose("up", "--detach", "--wait");
    const services = await status();
    for (const [name, { State, Health, ExitCode }] of Object.entries(services)) {
      expect([name, State === "exited" ? ExitCode : Health]).toEqual([name, State === "exited" ? 0 : "healthy"]);
    }
    expect(Object.keys(services).toSorted()).toEqual(
      [...Object.keys(composeFile("compose.yaml").services), "simulator"].toSorted(),
    );
    await compose("exec", "-T", "worker", "gpu-pool", "pool", "start", "--yes");
    const url = await compose("exec", "-T", "worker", "gpu-pool", "submit", "--wait", "--prompt", "a cat");
    const path = /http:\/\/gateway:54321(\/storage\/v1\/object\/public\/videos\/\S+)/.exec(url)?.[1];
    const published = await docker.inside(["curl", "-sI", `http://127.0.0.1:54321${path}`]);
    expect(published).toMatch(/^HTTP\/1\.1 200[\s\S]*content-type: video\/mp4/);
    expect(await docker.inside(["curl", "-s", "http://127.0.0.1:9464/readyz"])).toContain('"ready": true');
    const modes = await compose(
      "exec",
      "-T",
      "gateway",
      "stat",
      "-c",
      "%a %u",
      "/var/lib/gpu-pool",
      "/var/lib/gpu-pool/storage",
    );
    expect(modes).toBe("700 1000\n700 1000");
  });

  it("ends in order, and has its pool and its files when it is started again", async () => {
    await compose("stop");
    // This version of PostgREST does not end with 0.
    const ended = Object.entries(await status()).filter(([name]) => name !== "postgrest");
    expect(ended.filter(([, { ExitCode }]) => ExitCode !== 0)).toEqual([]);
    await compose("up", "--detach", "--wait");
    expect(await compose("exec", "-T", "worker", "gpu-pool", "tasks", "--json")).toContain('"Complete"');
  });
});
