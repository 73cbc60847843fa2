import { chmod, chown, mkdir, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FolderError, openAttemptFolder, openRunFolder } from "../../../src/gpu-worker/work-folders.ts";
import { temporaryFolder } from "../../kit/gpu-worker/fake-task.ts";

const OTHER_UID = 12_345;
const isRoot = process.getuid?.() === 0;
let folder: string;
let parent: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  parent = join(folder, "work");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o7777).toString(8);
}

describe("the folders that a worker works in", () => {
  it("can be read by nobody else, also where the parent was open before", async () => {
    await mkdir(parent, { mode: 0o777 });
    await chmod(parent, 0o777);
    const run = await openRunFolder(parent, "box", true);
    const attempt = await openAttemptFolder(run, "task_1_a1");
    expect(await Promise.all([parent, run, attempt].map(modeOf))).toEqual(["700", "700", "700"]);
  });

  it("are another for each run, and those of earlier runs of the same worker are removed", async () => {
    const first = await openRunFolder(parent, "box", true);
    await writeFile(join(first, "left.mp4"), "x");
    const other = await openRunFolder(parent, "box.two", true);
    const second = await openRunFolder(parent, "box", true);
    expect(second).not.toBe(first);
    expect((await readdir(parent)).map((name) => join(parent, name)).toSorted()).toEqual([other, second].toSorted());
  });

  it("are refused behind a link, or where a file stands", async () => {
    await mkdir(join(folder, "elsewhere"));
    await symlink(join(folder, "elsewhere"), parent);
    await expect(openRunFolder(parent, "box", true)).rejects.toThrow(`${parent} is not a folder`);
  });

  it("are refused where other users may write, unless each may only move what is their own", async () => {
    await mkdir(parent);
    await chmod(parent, 0o777);
    const refused = openRunFolder(parent, "box", false);
    await expect(refused).rejects.toThrow(FolderError);
    await expect(refused).rejects.toThrow(`other users may write to ${parent}: run chmod go-w on it`);
    await chmod(parent, 0o1777);
    expect(await modeOf(await openRunFolder(parent, "box", false))).toBe("700");
    expect(await modeOf(parent)).toBe("1777");
  });

  it.runIf(isRoot)("are refused where the parent belongs to another user, with both users named", async () => {
    await mkdir(parent);
    await chown(parent, OTHER_UID, OTHER_UID);
    for (const isOwn of [true, false]) {
      await expect(openRunFolder(parent, "box", isOwn)).rejects.toThrow(
        `${parent} belongs to user ${OTHER_UID}, and this program runs as user 0: set WORKER_OUTPUT_DIR`,
      );
    }
  });

  it.runIf(isRoot)("leave alone what another user has made under the name of an earlier run", async () => {
    await mkdir(parent);
    await chmod(parent, 0o1777);
    const foreign = join(parent, "box.AbCdEf");
    await mkdir(foreign);
    await chown(foreign, OTHER_UID, OTHER_UID);
    await openRunFolder(parent, "box", false);
    expect(await readdir(parent)).toContain("box.AbCdEf");
  });
});
