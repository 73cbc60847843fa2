import { mkdtemp, rm, symlink } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadConfig } from "../../../src/config/config.ts";
import { containerOf, launchEnvironment } from "../../../src/policy/launch/container.ts";
import { scriptFor } from "../../../src/policy/launch/start-script.ts";
import { startGuardian } from "../../../src/process/guardian.ts";
import { createPodLauncher } from "../../../src/simulator/pod-process.ts";
import { findPython } from "../../kit/headless-wan2gp/lay-out.ts";
import { podRequest, raw, startKit } from "../../kit/simulator.ts";

/** Rents a pod of a custom image with these settings, which has to end itself at an instant. */
async function rent(settings: Readonly<Record<string, string>>, endsInMs: number, more: Record<string, string> = {}) {
  const guardian = await startGuardian({ logger: pino({ level: "silent" }) });
  onTestFinished(() => guardian.close());
  const kit = await startKit({ launch: createPodLauncher({ guardian }) });
  const { launch, placement } = loadConfig({
    SUPABASE_URL: "http://127.0.0.1:1",
    SUPABASE_ANON_KEY: "anon",
    SUPABASE_SERVICE_ROLE_KEY: "service",
    RUNPOD_API_KEY: "key",
    WORKER_PROFILE: "custom",
    RUNPOD_WORKER_IMAGE: "somebody/image:1",
    ...settings,
  });
  const whole = { ...launch, ...placement };
  const env = {
    WORKER_ID: "main-0a1b2c3d",
    RUNPOD_API_URL: kit.simulator.apiUrl,
    ...launchEnvironment(whole, Date.now() + endsInMs),
    ...more,
  };
  const created = await kit.client.createPod({ ...podRequest("main-0a1b2c3d"), ...containerOf(whole), env });
  if (created.kind !== "created") {
    throw new Error(created.detail);
  }
  const { id } = created.pod;
  const entry = () => kit.simulator.ledger().pods.find((pod) => pod.id === id);
  const log = async () => await (await raw(kit, "GET", `/v2/pods/${id}/logs`)).text();
  return { kit, id, entry, log };
}

describe("invariant 15: a pod of somebody else's image", () => {
  it("deletes itself at its end, although its program runs on; a start command of the operator's", async () => {
    const { kit, id, entry } = await rent({ WORKER_START_COMMAND: "sleep 1000" }, 1_500);
    await expect.poll(() => entry()?.endCause).toBe("deleted");
    const deletions = kit.simulator.requests().filter(({ method }) => method === "DELETE");
    expect(deletions).toMatchObject([{ path: `/v2/pods/${id}`, status: 204 }]);
  });

  it("deletes itself at once if its end is past, as after a restart; a program with arguments, in place of the shell", async () => {
    const program = { WORKER_ENTRYPOINT: '["sleep"]', WORKER_ARGS: '["1000"]' };
    const { entry } = await rent(program, -60_000);
    await expect.poll(() => entry()?.endCause).toBe("deleted");
    // SIGTERM ended the program itself: the shell did not stay in front of it.
    await expect.poll(() => entry()?.exit).toEqual({ code: null, signal: "SIGTERM" });
  });

  it("is deleted by Python where its image has no curl, by the key that its command line never shows", async () => {
    const calls: string[] = [];
    const server = createServer((request, reply) => {
      calls.push(`${request.method} ${request.url} ${request.headers.authorization} ${request.headers["user-agent"]}`);
      reply.writeHead(calls.length === 1 ? 204 : 500).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const programs = await mkdtemp(join(tmpdir(), "pod-programs-"));
    onTestFinished(async () => {
      server.close();
      await rm(programs, { recursive: true, force: true });
    });
    await symlink(await findPython(), join(programs, "python3"));
    for (const program of ["date", "sleep"]) {
      const { stdout } = await execa("/bin/sh", ["-c", `command -v ${program}`]);
      await symlink(stdout, join(programs, program));
    }
    const { port } = server.address() as AddressInfo;
    const env = {
      PATH: programs,
      POD_ENDS_AT_SEC: "1",
      RUNPOD_POD_ID: "x1y2z3",
      RUNPOD_API_KEY: "rpa_of_the_pod",
      RUNPOD_API_URL: `http://127.0.0.1:${port}/v2`,
    };
    const { stdout } = await execa("/bin/sh", ["-c", scriptFor("wait")], { extendEnv: false, env });
    expect(calls).toEqual(["DELETE /v2/pods/x1y2z3 Bearer rpa_of_the_pod gpu-pool-pod"]);
    expect(stdout).toContain("pod x1y2z3 has outlived its end");
    expect(stdout).not.toContain("rpa_of_the_pod");
  });
});

describe("a start command", () => {
  it("finds its volume by RUNPOD_VOLUME_MOUNT_PATH, its home in the container, and the operator's SSH key there", async () => {
    const command =
      'cat "$HOME/.ssh/authorized_keys"; echo "mount $RUNPOD_VOLUME_MOUNT_PATH in $PWD"; apt-get install -y everything';
    const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA operator@desk";
    const { kit, id, entry, log } = await rent({ WORKER_START_COMMAND: command, WORKER_SSH_PUBLIC_KEY: key }, 60_000);
    await expect.poll(() => entry()?.exit).toEqual({ code: 0, signal: null });
    const said = await log();
    expect(said).toContain(key);
    expect(said).toMatch(/mount (\S+)\/workspace in \1/);
    expect(said).toContain("simulator: apt-get install -y everything does nothing");
    const shown = await (await raw(kit, "GET", `/v2/pods/${id}`)).json();
    expect(shown).toMatchObject({
      ports: ["22/tcp"],
      env: { PUBLIC_KEY: key, RUNPOD_VOLUME_MOUNT_PATH: "/workspace" },
    });
  });

  it("says so where the pod cannot end itself", async () => {
    const env = { PATH: process.env["PATH"] };
    const { stdout } = await execa("/bin/sh", ["-c", scriptFor("echo done")], { extendEnv: false, env });
    expect(stdout).toMatch(
      /this pod cannot end itself: POD_ENDS_AT_SEC, RUNPOD_POD_ID or RUNPOD_API_KEY is not set\ndone$/,
    );
  });
});
