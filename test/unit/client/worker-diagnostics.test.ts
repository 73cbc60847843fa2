import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { lookInside, lookScript } from "../../../src/client/commands/workers/inside-pod.ts";
import { type Diagnostics, renderDiagnostics } from "../../../src/client/commands/workers/worker-diagnostics.ts";
import { createStyle } from "../../../src/client/render/output.ts";
import { freePort } from "../../../src/dev/servers/free-port.ts";
import { without } from "../../kit/deployment/tools.ts";
import { PATIENCE_MS } from "../../kit/patience.ts";
import type { PoolSettings } from "../../../src/contract/pool-settings.ts";

const COMMIT = "50066ea8d2e9399b5f2aff2a62d9eada2e349a96";
const AT = { host: "127.0.0.1", port: 22, username: "root" };
const SSHD = "/usr/sbin/sshd";
const hasSshd = existsSync(SSHD);
const settings = { volumeMountPath: "/work space", headlessWan2gpFolder: "it's" } as PoolSettings;

async function canConnect(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

describe("a look into a pod", () => {
  let folder = "";
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "fake-ssh-"))));
  afterAll(async () => await rm(folder, { recursive: true, force: true }));

  /** A program named ssh that does this. */
  async function withSsh(body: string) {
    await writeFile(join(folder, "ssh"), `#!/bin/sh\n${body}\n`);
    await chmod(join(folder, "ssh"), 0o755);
    return { env: { PATH: `${folder}:${process.env["PATH"]}`, SUPABASE_SERVICE_ROLE_KEY: "hidden" } };
  }

  it("asks for the commit in the folder of the settings, quoted for the pod's shell", () => {
    expect(lookScript(settings)).toContain(String.raw`git -C '/work space/it'\''s' rev-parse HEAD`);
  });

  it("reads commit and lines, and gives ssh no variable of this process", async () => {
    const context = await withSsh(`echo "commit: ${COMMIT}"; echo "L40S, 1 MiB"; env | grep -c hidden`);
    const seen = await lookInside(context, AT, "/keys/id", settings);
    expect(seen).toMatchObject({ commit: null, lines: [], problem: expect.stringContaining("SSH to the pod failed") });
    const found = await lookInside(
      await withSsh(`echo "commit: ${COMMIT}"; echo "L40S, 1 MiB"; echo "$@" | grep -o "BatchMode=yes"`),
      AT,
      "/keys/id",
      settings,
    );
    expect(found).toEqual({ commit: COMMIT, lines: ["L40S, 1 MiB", "BatchMode=yes"], problem: null });
  });

  it("says why it saw nothing", async () => {
    const context = await withSsh("echo 'Permission denied (publickey).' >&2; exit 255");
    expect((await lookInside(context, AT, "/keys/id", settings)).problem).toBe(
      "SSH to the pod failed: Permission denied (publickey).",
    );
  });
});

describe.skipIf(!hasSshd)(`a look into a pod by a real SSH server${without(hasSshd, SSHD)}`, () => {
  const { username } = userInfo();
  let folder = "";
  let port = 0;
  let stop = async () => {};
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "real-sshd-"));
    const at = (name: string) => join(folder, name);
    for (const name of ["host", "ours", "strange"]) {
      await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(name)]);
    }
    await copyFile(at("ours.pub"), at("authorized_keys"));
    await mkdir("/run/sshd", { recursive: true }).catch(() => undefined);
    port = await freePort();
    const options = [
      `ListenAddress=127.0.0.1:${port}`,
      `HostKey=${at("host")}`,
      `AuthorizedKeysFile=${at("authorized_keys")}`,
      `PidFile=${at("pid")}`,
      "UsePAM=no",
      "StrictModes=no",
      "PasswordAuthentication=no",
      "PermitRootLogin=yes",
    ];
    const server = execa(SSHD, ["-D", "-e", "-f", "/dev/null", ...options.flatMap((option) => ["-o", option])], {
      reject: false,
    });
    stop = async () => {
      server.kill();
      await server;
    };
    await vi.waitFor(async () => expect(await canConnect(port)).toBe(true), PATIENCE_MS);
    await mkdir(at("Headless-Wan2GP"));
    await execa("sh", ["-c", "git init -q && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m x"], {
      cwd: at("Headless-Wan2GP"),
    });
  });
  afterAll(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("reads the commit, the disks and the processes there", async () => {
    const { stdout: commit } = await execa("git", ["-C", join(folder, "Headless-Wan2GP"), "rev-parse", "HEAD"]);
    const inPod = { volumeMountPath: folder, headlessWan2gpFolder: "Headless-Wan2GP" } as PoolSettings;
    const seen = await lookInside(
      { env: process.env },
      { host: "127.0.0.1", port, username },
      join(folder, "ours"),
      inPod,
    );
    expect(seen).toMatchObject({ problem: null, commit });
    expect(seen.lines.join("\n")).toMatch(/^Filesystem .*$[\s\S]*^ +PID /m);
  });

  it("says that a key is not let in, and that nothing listens", async () => {
    const look = async (key: string, at: number) =>
      (await lookInside({ env: process.env }, { host: "127.0.0.1", port: at, username }, join(folder, key), settings))
        .problem;
    expect(await look("strange", port)).toMatch(/SSH to the pod failed: .*Permission denied \(publickey/);
    expect(await look("ours", await freePort())).toMatch(/SSH to the pod failed: .*Connection refused/);
  });
});

describe("diagnostics of a worker", () => {
  const found: Diagnostics = {
    worker: { id: "main-0a1b2c3d", status: "error", status_reason: "no beat", boot_stage: "loading", pod_id: "p1" },
    runs: "profile headless-wan2gp, image any/image:1",
    commit: { hash: COMMIT, from: "the volume's manifest" },
    provider: "pod p1 is gone",
    inside: null,
    records: [
      {
        at: "2026-01-01T11:58:00Z",
        reason: "no beat",
        details: {
          task: null,
          logs: [{ level: "ERROR", message: "out of memory\u001b[2J" }],
          pod_log: { lines: [{ source: "container", text: "killed" }] },
        },
      },
    ],
  };

  it("are printed with what was kept when it failed, without control characters", () => {
    const lines = renderDiagnostics(found, Date.parse("2026-01-01T12:00:00Z"), createStyle(false));
    expect(lines).toEqual([
      "main-0a1b2c3d error: no beat",
      "boot stage loading; pod p1 is gone",
      `profile headless-wan2gp, image any/image:1, commit ${COMMIT} (by the volume's manifest)`,
      "not looked at from inside: that takes RUNPOD_SSH_PRIVATE_KEY_PATH and a pod with WORKER_SSH_PUBLIC_KEY",
      "",
      "failed 2m00s ago: no beat",
      "  its own last lines:",
      "    ERROR: out of memory",
      "  the last lines of its pod:",
      "    container: killed",
    ]);
  });

  it("may have been written by another version", () => {
    const other = { ...found, records: [{ at: "2026-01-01T11:58:00Z", reason: "x", details: null }] };
    const lines = renderDiagnostics(other, Date.parse("2026-01-01T12:00:00Z"), createStyle(false));
    expect(lines.at(-1)).toBe("failed 2m00s ago: x");
  });
});
