import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadOwnTypes } from "../../../src/gpu-worker/own-types.ts";
import { createRouter, HANDLERS } from "../../../src/gpu-worker/router.ts";
import { SettingsError } from "../../../src/gpu-worker/settings.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { runFakeTask } from "../../kit/gpu-worker/fake-task.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";

const EXAMPLE = fileURLToPath(new URL("../../../docs/examples/own-task-types.mjs", import.meta.url));
const TYPE = { name: "make_tea", meaning: "tea", parameters: [], handle: "run => run" };

describe("own task types", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "own-types-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  let modules = 0;
  async function moduleOf(source: string): Promise<string> {
    const path = join(folder, `types-${(modules += 1)}.mjs`);
    await writeFile(path, source);
    return path;
  }
  /** A module with one type: that of the example above, with these fields changed. */
  const typeOf = (fields: Readonly<Record<string, unknown>>) => {
    const { handle, ...rest } = { ...TYPE, ...fields };
    return moduleOf(`export const taskTypes = () => [{ ...${JSON.stringify(rest)}, handle: ${String(handle)} }];`);
  };
  async function routerWith(...paths: string[]) {
    const { table, handlers } = await loadOwnTypes(paths);
    return createRouter({ can: (job) => job === "generate" }, { ...HANDLERS, ...handlers }, table.find);
  }

  it("are done as the documented example says", async () => {
    const video = await makeSample(folder, "film.mp4", { frames: 6, fps: 8 });
    const router = await routerWith(EXAMPLE);
    expect(router.types).toContain("turn_video");
    const params = { video, direction: "left", speed: 2, strength: 1 };
    const task = await runFakeTask(folder, { taskType: "rotate_video", params, router });
    expect(await probeVideo(task.main(), await findFfmpeg(null))).toMatchObject({ width: 48, height: 64, fps: 16 });
    expect(task.result).toMatchObject({
      engine: "ffmpeg",
      direction: "left",
      video_url: expect.stringMatching(/_a1\.mp4$/),
      not_honoured: [{ param: "strength" }],
    });
    expect(task.progress.length).toBeGreaterThan(0);
  });

  it("have their parameters checked as those of any type", async () => {
    const router = await routerWith(EXAMPLE);
    const task = await runFakeTask(folder, { taskType: "turn_video", params: { speed: 9 }, router });
    expect(task.failure).toEqual({
      message: expect.stringMatching(
        /params\.video_url: expected .*; params\.speed: expected a number between 0.25 and 4, got 9/,
      ),
      permanent: true,
    });
  });

  it("fail for good by an error named ParamsError, and may be tried again after any other", async () => {
    const router = await routerWith(
      await typeOf({ name: "good", handle: `() => { throw Object.assign(new Error("no"), { name: "ParamsError" }) }` }),
      await typeOf({ name: "again", handle: `() => { throw new TypeError("oops") }` }),
    );
    const failureOf = async (taskType: string) => (await runFakeTask(folder, { taskType, params: {}, router })).failure;
    expect(await failureOf("good")).toEqual({ message: "no", permanent: true });
    expect(await failureOf("again")).toEqual({ message: "oops", permanent: false });
  });

  it("are claimed only if the engine can do their jobs", async () => {
    const paths = [
      await typeOf({ name: "can", jobs: ["generate"] }),
      await typeOf({ name: "cannot", jobs: ["depth"] }),
    ];
    expect((await routerWith(...paths)).types.filter((name) => name.startsWith("can"))).toEqual(["can"]);
  });

  it.each([
    ["no function", "export const other = 1;", /exports no function taskTypes/],
    ["a syntax error", "export const", /it cannot be loaded: /],
    [
      "a function that throws",
      "export function taskTypes() { throw new Error('why'); }",
      /taskTypes failed: Error: why/,
    ],
    ["no list", "export const taskTypes = () => ({});", /has to answer a list of types, not {}/],
  ])("are refused at the start: a module with %s", async (_what, source, why) => {
    const path = await moduleOf(source);
    const failure = loadOwnTypes([path]);
    await expect(failure).rejects.toThrow(SettingsError);
    await expect(failure).rejects.toThrow(why);
    await expect(failure).rejects.toThrow(`TASK_TYPE_MODULES: ${path}: `);
  });

  it.each([
    [{ name: "Make tea" }, /type "Make tea": name: a name of at most 63 small letters/],
    [{ parameters: [{ name: "sugar" }] }, /type "make_tea": parameters.0: a parameter made by required/],
    [{ handle: "1" }, /type "make_tea": handle: a function is expected/],
    [{ jobs: ["boil"] }, /type "make_tea": jobs.0: /],
    [{ wants: "milk" }, /type "make_tea": .*wants/],
    [{ name: "t2v" }, /the own type t2v takes the name t2v, which another type has/],
    [{ aliases: ["vace"] }, /the own type make_tea takes the name vace/],
  ])("are refused at the start: %j", async (fields, why) => {
    await expect(loadOwnTypes([await typeOf(fields)])).rejects.toThrow(why);
  });
});
