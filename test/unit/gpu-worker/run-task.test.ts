import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import { createOrders } from "../../../src/gpu-worker/orders.ts";
import { createRouter } from "../../../src/gpu-worker/router.ts";
import type { Handler, TaskRun } from "../../../src/gpu-worker/tasks/handler.ts";
import { ParamsError } from "../../../src/gpu-worker/tasks/params-error.ts";
import { runFakeTask, temporaryFolder } from "../../kit/gpu-worker/fake-task.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a task whose type is done by this handler. */
function run(handle: Handler, options: Partial<Parameters<typeof runFakeTask>[1]> = {}) {
  const router = createRouter(createPreviewEngine("ffmpeg"), { generate_video: { handle, jobs: [] } });
  return runFakeTask(folder, { taskType: "generate_video", params: { prompt: "a cat" }, router, ...options });
}

async function write({ workDir, basename }: TaskRun, ending: string, text = "text"): Promise<string> {
  const path = join(workDir, `${basename}${ending}`);
  await writeFile(path, text);
  return path;
}

describe("the outcome of a handler", () => {
  it("may be files of any kind: all are stored, and the result has the handler's keys", async () => {
    const { result, stored, completion, task, end } = await run(async (taskRun) => {
      const main = await write(taskRun, ".json", "{}");
      const others = [await write(taskRun, "_notes.txt"), await write(taskRun, "_data.bin")];
      return { kind: "files", main, others, model: null, result: { approximate: true } };
    });
    const name = (ending: string) => `task_${task.taskId}_a1${ending}`;
    expect(end).toBe("completed");
    expect([...stored.keys()]).toEqual([name(".json"), name("_notes.txt"), name("_data.bin")]);
    expect(result).toMatchObject({
      file_url: completion?.outputLocation,
      other_urls: [stored.get(name("_notes.txt")), stored.get(name("_data.bin"))],
      file_size_bytes: 2,
      model_used: null,
      approximate: true,
    });
    expect(result).not.toHaveProperty("thumbnail_url");
  });

  it("may have a thumbnail of its own", async () => {
    const { result, stored, task } = await run(async ({ workDir, basename }) => ({
      kind: "files",
      main: await makeSample(workDir, `${basename}.jpg`),
      thumbnail: await makeSample(workDir, `${basename}_small.jpg`, { width: 16, height: 16 }),
      model: "m",
    }));
    expect([...stored.keys()]).toEqual([`task_${task.taskId}_a1.jpg`, `task_${task.taskId}_a1_small.jpg`]);
    expect(result).toMatchObject({ thumbnail_url: [...stored.values()][1], width: 64, height: 48, model_used: "m" });
    expect(result["image_urls"]).toEqual([result["image_url"]]);
  });

  it("may be sub-tasks: their rows are written with the delegation, and nothing is uploaded or completed", async () => {
    const subTask = { id: "5e0c", taskType: "travel_segment", params: { segment_index: 0 }, dependantOn: null };
    const { end, delegated, completion, stored, failure } = await run(async () => ({
      kind: "delegated",
      subTasks: [subTask],
      resultTaskId: "5e0c",
    }));
    expect(end).toBe("delegated");
    expect(delegated).toEqual({ subTasks: [subTask], resultTaskId: "5e0c" });
    expect([completion, stored.size, failure]).toEqual([null, 0, null]);
  });

  it("invariant 12: is refused where a file's name does not carry the attempt", async () => {
    const { end, failure, stored } = await run(async (taskRun) => ({
      kind: "files",
      main: await write({ ...taskRun, basename: "result" }, ".json"),
      model: null,
    }));
    expect({ end, permanent: failure?.permanent, stored: stored.size }).toEqual({
      end: "requeued",
      permanent: false,
      stored: 0,
    });
    expect(failure?.message).toMatch(/^the result file result\.json is not named after its attempt, task_.*_a1$/);
  });

  it.each([
    ["is empty", "", /^the result file task_.*\.json is empty$/],
    ["is missing", null, /ENOENT/],
  ])("is refused where a file %s", async (_, text, message) => {
    const { end, failure } = await run(async (taskRun) => {
      const main = await write(taskRun, ".json", text ?? "");
      await (text === null ? rm(main) : undefined);
      return { kind: "files", main, model: null };
    });
    expect({ end, message: failure?.message }).toEqual({ end: "requeued", message: expect.stringMatching(message) });
  });
});

describe("an attempt", () => {
  it("gets values with their defaults, a folder that nobody else can read, and what its graph has made", async () => {
    const other = { taskId: "other", status: "Complete", outputLocation: "here", resultData: {} };
    const options = { attempt: 3, projectId: "p", outputs: { other }, predecessor: other };
    let mode = 0;
    let seen: unknown[] = [];
    const { end } = await run(async (taskRun) => {
      const { values, workDir, basename, task, graph } = taskRun;
      ({ mode } = await stat(workDir));
      seen = [values["video_length"], basename === `task_${task.taskId}_a3`, task.projectId];
      seen.push(await graph.outputOf("other"), await graph.outputOf("none"), await graph.predecessorOutput());
      return { kind: "files", main: await write(taskRun, ".json", "{}"), model: null };
    }, options);
    expect(end).toBe("completed");
    expect((mode & 0o777).toString(8)).toBe("700");
    expect(seen).toEqual([49, true, "p", other, null, other]);
  });

  it.each([
    ["for good", new ParamsError("params.frames: no"), { end: "failed", permanent: true }],
    ["for this time", new Error("the engine broke"), { end: "requeued", permanent: false }],
  ])("fails %s when its handler says so, and leaves no file", async (_, error, expected) => {
    const { end, failure, outputDir } = await run(async ({ workDir }) => {
      await mkdir(join(workDir, "frames"));
      throw error;
    });
    expect({ end, permanent: failure?.permanent }).toEqual(expected);
    expect(failure?.message).toBe(error.message);
    expect(await readdir(outputDir)).toEqual([]);
  });

  it("is released when the worker has to stop while its handler works", async () => {
    const orders = createOrders(() => undefined);
    const { end, failure, completion } = await run(
      async ({ signal }) => {
        orders.stop("release", "the process received SIGTERM");
        signal.throwIfAborted();
        throw new Error("it goes on");
      },
      { orders },
    );
    expect({ end, failure, completion }).toEqual({ end: "released", failure: null, completion: null });
  });

  it("reports its progress from 0 to 1, of which the last tenth is the upload", async () => {
    const { progress } = await run(async (taskRun) => {
      taskRun.progress(1, "all frames");
      return { kind: "files", main: await write(taskRun, ".json", "{}"), model: null };
    });
    const fractions = progress.map(({ fraction }) => fraction);
    expect(fractions).toEqual(fractions.toSorted((one, other) => one - other));
    expect(fractions[0]).toBe(0);
    expect(Math.max(...fractions)).toBeLessThanOrEqual(0.9);
  });
});
