import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lookInside, lookScript, sshTarget } from "../../../src/client/commands/workers/inside-pod.ts";
import { type Diagnostics, renderDiagnostics } from "../../../src/client/commands/workers/worker-diagnostics.ts";
import { createStyle } from "../../../src/client/render/output.ts";
import type { PoolSettings } from "../../../src/contract/pool-settings.ts";

const COMMIT = "50066ea8d2e9399b5f2aff2a62d9eada2e349a96";
const settings = { volumeMountPath: "/work space", headlessWan2gpFolder: "it's" } as PoolSettings;

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

  it.each([
    ["root@1.2.3.4 -p 22022", ["-p", "22022", "root@1.2.3.4"]],
    ["ssh root@1.2.3.4 -p22 -i ~/.ssh/id", ["-p", "22", "root@1.2.3.4"]],
    ["abc-123@ssh.example.org", ["abc-123@ssh.example.org"]],
    ["-oProxyCommand=evil", null],
    ["root@-oProxyCommand=evil;x -p 1", null],
  ])("understands %s", (shown, target) => {
    expect(sshTarget(shown)).toEqual(target);
  });

  it("asks for the commit in the folder of the settings, quoted for the pod's shell", () => {
    expect(lookScript(settings)).toContain(String.raw`git -C '/work space/it'\''s' rev-parse HEAD`);
  });

  it("reads commit and lines, and gives ssh no variable of this process", async () => {
    const context = await withSsh(`echo "commit: ${COMMIT}"; echo "L40S, 1 MiB"; env | grep -c hidden`);
    const seen = await lookInside(context, "root@127.0.0.1 -p 22", "/keys/id", settings);
    expect(seen).toMatchObject({ commit: null, lines: [], problem: expect.stringContaining("SSH to the pod failed") });
    const found = await lookInside(
      await withSsh(`echo "commit: ${COMMIT}"; echo "L40S, 1 MiB"; echo "$@" | grep -o "BatchMode=yes"`),
      "root@127.0.0.1 -p 22",
      "/keys/id",
      settings,
    );
    expect(found).toEqual({ commit: COMMIT, lines: ["L40S, 1 MiB", "BatchMode=yes"], problem: null });
  });

  it("says why it saw nothing", async () => {
    const context = await withSsh("echo 'Permission denied (publickey).' >&2; exit 255");
    expect((await lookInside(context, "root@127.0.0.1", "/keys/id", settings)).problem).toBe(
      "SSH to the pod failed: Permission denied (publickey).",
    );
    expect((await lookInside(context, "nowhere", "/keys/id", settings)).problem).toMatch(/not understood/);
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
