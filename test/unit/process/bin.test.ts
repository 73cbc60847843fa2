import { cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const SOURCE = "src/client/main.ts";
const OTHER_SOURCE = "src/client/deeper/other.ts";
const BUILD = "dist/src/client/main.js";
const YEAR = new Date("2026-01-01T00:00:00Z");
const LATER = new Date("2026-01-02T00:00:00Z");

let clone = "";

beforeAll(async () => {
  clone = await mkdtemp(join(tmpdir(), "bin-"));
  await cp(join(ROOT, "bin"), join(clone, "bin"), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(clone, "node_modules"));
  await put("package.json", '{ "type": "module" }');
  await put(SOURCE, 'console.log("sources");');
  await put(OTHER_SOURCE, "");
});

afterAll(async () => {
  await rm(clone, { recursive: true, force: true });
});

async function put(path: string, text: string, changed = YEAR): Promise<void> {
  await mkdir(dirname(join(clone, path)), { recursive: true });
  await writeFile(join(clone, path), text);
  await utimes(join(clone, path), changed, changed);
}

async function ran(): Promise<string> {
  const { stdout } = await execa(process.execPath, [join(clone, "bin/gpu-pool.js")]);
  return stdout;
}

describe("the command in a clone", () => {
  it("runs its sources where there is no build", async () => {
    expect(await ran()).toBe("sources");
  });

  it("runs a build that is newer than all its sources, and no other", async () => {
    await put(BUILD, 'console.log("build");', LATER);
    expect(await ran()).toBe("build");
    await put(OTHER_SOURCE, "// changed", LATER);
    expect(await ran()).toBe("sources");
  });

  it("runs its build where there are no sources, as in an image", async () => {
    await rm(join(clone, "src"), { recursive: true });
    expect(await ran()).toBe("build");
  });
});
