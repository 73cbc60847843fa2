import { access, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDebug } from "../../../src/gpu-worker/debug/debug.ts";
import { tryLogFiles } from "../../../src/gpu-worker/debug/log-files.ts";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { runFakeTask } from "../../kit/gpu-worker/fake-task.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";

const ffmpegPath = await findFfmpeg(null);
const VIDEO = { prompt: "fog", frames: 3, fps: 8, width: 64, height: 48 };
let folder: string;
let lines: Readonly<Record<string, unknown>>[];
const logger = pino({ level: "debug" }, { write: (line) => void lines.push(JSON.parse(line) as never) });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "debug-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  lines = [];
});

describe("what debugging tells", () => {
  it("a file as it was expected is told quietly, with its category", async () => {
    const debug = createDebug(logger, ffmpegPath);
    const path = await makeSample(folder, "film.mp4", { frames: 5, fps: 8 });
    expect(debug.analysis()).toBeNull();
    await debug.measure("CHAIN_DEBUG", "after the saturation", path, { frames: 5, fps: 8.005, width: 64, height: 48 });
    const step = {
      category: "CHAIN_DEBUG",
      file: "film.mp4",
      frames: 5,
      fps: 8,
      duration_seconds: 0.625,
      mismatches: [],
    };
    expect(lines).toMatchObject([{ level: 20, msg: "after the saturation", ...step }]);
    expect(debug.analysis()).toMatchObject({ steps: [step], steps_measured: 1, mismatches: 0 });
  });

  it("each figure that differs is a warning and counts", async () => {
    const debug = createDebug(logger, ffmpegPath);
    const path = await makeSample(folder, "short.mp4", { frames: 4, fps: 8 });
    await debug.measure("STITCH_DEBUG", "after the stitch", path, { frames: 5, fps: 16 });
    const mismatches = ["frames: expected 5, got 4", "fps: expected 16, got 8"];
    expect(lines).toMatchObject([
      { level: 40, category: "STITCH_DEBUG", msg: `after the stitch: ${mismatches.join("; ")}` },
    ]);
    expect(debug.analysis()).toMatchObject({ steps: [{ mismatches }], mismatches: 2 });
  });

  it("a file that is not there fails nothing", async () => {
    const debug = createDebug(logger, ffmpegPath);
    await debug.measure("STITCH_DEBUG", "after the stitch", join(folder, "none.mp4"));
    expect(lines).toMatchObject([{ level: 40, file: "none.mp4" }]);
    expect(debug.analysis()).toBeNull();
  });

  it("a note has its figures as fields", () => {
    createDebug(logger, ffmpegPath).note("FRAME_DEBUG", "lengths are cut", { asked: 84, cut: 81 });
    expect(lines).toMatchObject([{ category: "FRAME_DEBUG", msg: "lengths are cut", asked: 84, cut: 81 }]);
  });
});

describe("a task's log and analysis", () => {
  it("have what the engine made, each line by the part that wrote it, with the task's id", async () => {
    const task = await runFakeTask(folder, { taskType: "generate_video", params: VIDEO, logger });
    expect(task.result["analysis"]).toMatchObject({
      steps: [
        { category: "WGP_DEBUG", step: "after generate", frames: 3, fps: 8, width: 64, height: 48, mismatches: [] },
      ],
      mismatches: 0,
    });
    const by = (name: string) => lines.filter((line) => line["logger"] === name).map(({ msg }) => msg);
    expect(by("headless")).toEqual(["task begun", "task ended"]);
    expect(by("model")).toEqual(["model run begun", "model run ended"]);
    expect(by("generation")).toEqual(["after generate"]);
    expect(new Set(lines.map((line) => line["task_id"]))).toEqual(new Set([task.task.taskId]));
  });

  it("show an engine that made something else than it was asked for", async () => {
    const preview = createPreviewEngine(ffmpegPath);
    const engine = {
      ...preview,
      generate: (request: Parameters<typeof preview.generate>[0]) =>
        preview.generate({ ...request, make: { kind: "video", frames: 2, fps: 8, width: 64, height: 48 } }),
    };
    const task = await runFakeTask(folder, { taskType: "generate_video", params: VIDEO, engine, logger });
    expect(task.result["analysis"]).toMatchObject({ mismatches: 1 });
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 40, category: "WGP_DEBUG", mismatches: ["frames: expected 3, got 2"] }),
    );
  });

  it.each([
    ["at the top", { debug_mode_enabled: true }, true],
    ["in the orchestrator's details", { orchestrator_details: { skip_cleanup_enabled: true } }, true],
    ["set to false", { debug_mode_enabled: false }, false],
  ])("a task keeps its files if its parameters say so: %s", async (_where, params, isKept) => {
    const task = await runFakeTask(folder, { taskType: "generate_video", params: { ...VIDEO, ...params }, logger });
    const kept = join(dirname(task.outputDir), "kept", `task_${task.task.taskId}_a1`);
    expect(
      await access(kept).then(
        () => true,
        () => false,
      ),
    ).toBe(isKept);
    expect(await readdir(task.outputDir)).toEqual([]);
    const told = (task.result["not_honoured"] as { param: string }[]).map(({ param }) => param);
    expect(told).not.toContain("debug_mode_enabled");
  });
});

describe("the log in files", () => {
  it("is written at once, into a folder that is made", async () => {
    const { stream, problem } = await tryLogFiles(join(folder, "logs"));
    expect(problem).toBeNull();
    pino({}, stream!).info("hello");
    const [file] = await readdir(join(folder, "logs"));
    expect(file).toMatch(/^gpu-worker.*\.log$/);
    expect(JSON.parse(await readFile(join(folder, "logs", file!), "utf8"))).toMatchObject({ msg: "hello" });
  });

  it("is left out, with the reason, where its folder cannot be made", async () => {
    const inFile = join(await makeSample(folder, "file.png"), "logs");
    const { stream, problem } = await tryLogFiles(inFile);
    expect(stream).toBeNull();
    expect(problem).toContain(`WORKER_LOG_DIR=${inFile} has no log: `);
    expect(await tryLogFiles(null)).toEqual({ stream: null, problem: null });
  });
});
