import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { shellCommand } from "../../../src/process/shell-command.ts";

it("a printed command names the installed program, else its path, and quotes what a shell would split", async () => {
  const program = join(import.meta.dirname, "../../../bin/gpu-pool.js");
  const folder = await mkdtemp(join(tmpdir(), "shell-command-"));
  try {
    expect(shellCommand({ PATH: folder }, "status", "--env-file", "/a b/it's.env")).toBe(
      `node ${program} status --env-file '/a b/it'\\''s.env'`,
    );
    await symlink(program, join(folder, "gpu-pool"));
    expect(shellCommand({ PATH: `/nowhere:${folder}` }, "status")).toBe("gpu-pool status");

    const other = await mkdtemp(join(folder, "other-"));
    await symlink(process.execPath, join(other, "gpu-pool"));
    expect(shellCommand({ PATH: `${other}:${folder}` }, "status")).toBe(`node ${program} status`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
