import { rename } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Make, NotHonoured, TransformRequest } from "../../engines/engine.ts";
import { evenSize } from "../../video/frames/format.ts";
import { interpolateVideo, smoothVideo } from "../../video/interpolate.ts";
import { fitPicture } from "../../video/pictures.ts";
import { fitVideo } from "../../video/retime.ts";
import type { Handler, InputFile, TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";
import { numberValue, textValue } from "../values.ts";
import { shapeOf } from "./input-of.ts";
import { standInResult, usesStandIn } from "./stand-in.ts";

const LARGEST_SIDE_PX = 8_192;

/** What a file has become, step by step. */
interface Work {
  readonly path: string;
  readonly make: Make;
  readonly model: string | null;
  /** How ffmpeg did what a model would do. */
  readonly methods: readonly string[];
  readonly notHonoured: readonly NotHonoured[];
}

/**
 * A video or picture, larger, and a video with less flicker and more frames: by the engine's models, or by ffmpeg where the task allows
 * that. Sound of a video stays.
 */
export const upscale: Handler = async (run) => {
  const { values, workDir, basename } = run;
  const field = textValue(values, "video_url") === null ? "image_url" : "video_url";
  const kind = field === "video_url" ? "video" : "picture";
  const factor = numberValue(values, "upscale_factor") ?? 2;
  const input = await run.inputs.fetch(field, textValue(values, field) ?? "", kind);
  const larger = upscaled(field, input, factor);
  const steps: ((work: Work) => Promise<Work>)[] = [];
  const smoothing = numberValue(values, "smoothing") ?? 0;
  const times = { rife2: 2, rife4: 4 }[textValue(values, "temporal_upsampling") ?? ""] ?? 1;
  if (larger.kind === "video" && smoothing > 0) {
    steps.push((work) => smooth(run, work, smoothing));
  }
  if (larger.kind === "video" && times > 1) {
    steps.push((work) => moreFrames(run, work, times));
  }
  if (factor > 1 || steps.length === 0) {
    steps.push((work) => enlarge(run, work, larger));
  }
  const own = { ...larger, ...evenSize(shapeOf(field, input)) };
  let work: Work = { path: input.path, make: own, model: null, methods: [], notHonoured: [] };
  for (const step of steps) {
    work = await step(work);
  }
  const main = join(workDir, `${basename}${extname(work.path)}`);
  await rename(work.path, main);
  const { width, height } = work.make;
  const expected = work.make.kind === "video" ? { frames: work.make.frames, fps: work.make.fps } : { frames: 1 };
  const result = work.methods.length === 0 ? {} : standInResult(work.methods.join(", "));
  return {
    kind: "files",
    main,
    expected: { ...expected, width, height },
    model: work.model,
    result,
    notHonoured: [...work.notHonoured, ...ofVideosOnly(larger)],
  };
};

async function smooth({ ffmpeg, workDir, debug }: TaskRun, work: Work, strength: number): Promise<Work> {
  const target = join(workDir, "smoothed.mp4");
  await smoothVideo(ffmpeg, work.path, strength, target);
  await debug.measure("CHAIN_DEBUG", "after the smoothing", target, expectedOf(work.make));
  return { ...work, path: target };
}

async function moreFrames(run: TaskRun, work: Work, times: number): Promise<Work> {
  if (work.make.kind !== "video") {
    return work;
  }
  const frames = (work.make.frames - 1) * times + 1;
  const make = { ...work.make, frames, fps: work.make.fps * times };
  if (!usesStandIn(run, "interpolate")) {
    return await byEngine(run, { ...work, make }, "interpolate", null);
  }
  const target = join(run.workDir, "interpolated.mp4");
  await interpolateVideo(run.ffmpeg, work.path, times, target);
  await run.debug.measure("CHAIN_DEBUG", "with frames between", target, expectedOf(make));
  return { ...work, path: target, make, methods: [...work.methods, "minterpolate"] };
}

async function enlarge(run: TaskRun, work: Work, { width, height }: Make): Promise<Work> {
  const make = { ...work.make, width, height };
  if (!usesStandIn(run, "upscale")) {
    return await byEngine(run, { ...work, make }, "upscale", textValue(run.values, "upscale_model_name"));
  }
  const { ffmpeg, workDir } = run;
  const isPicture = make.kind === "picture";
  const target = join(workDir, `larger${isPicture ? (extname(work.path) === ".jpg" ? ".jpg" : ".png") : ".mp4"}`);
  await (isPicture
    ? fitPicture(ffmpeg, work.path, make, "stretch", target)
    : fitVideo(ffmpeg, work.path, make, "stretch", target));
  const unused = { param: "upscale_model_name", reason: "ffmpeg scales without a model" };
  const methods = [...work.methods, "bicubic"];
  return { ...work, path: target, make, methods, notHonoured: [...work.notHonoured, unused] };
}

async function byEngine(run: TaskRun, work: Work, job: TransformRequest["job"], model: string | null): Promise<Work> {
  const { engine, workDir: outputDir, signal, progress: onProgress } = run;
  if (engine.transform === undefined) {
    throw new Error(`the engine ${engine.name} has no job ${job}`);
  }
  const { path, make } = work;
  const request = { job, model, inputs: [path], make, outputDir, basename: job, signal, onProgress };
  const { files, modelUsed, notHonoured } = await engine.transform(request);
  return { ...work, path: files[0], model: modelUsed, notHonoured: [...work.notHonoured, ...notHonoured] };
}

function expectedOf(make: Make) {
  return make.kind === "video" ? { frames: make.frames, fps: make.fps } : {};
}

function ofVideosOnly({ kind }: Make): NotHonoured[] {
  const reason = "a picture has one frame";
  return kind === "video" ? [] : ["smoothing", "temporal_upsampling"].map((param) => ({ param, reason }));
}

function upscaled(field: string, input: InputFile, factor: number): Make {
  const { width, height } = shapeOf(field, input);
  const size = evenSize({ width: Math.round(width * factor), height: Math.round(height * factor) });
  if (Math.max(size.width, size.height) > LARGEST_SIDE_PX) {
    throw new ParamsError(
      `params.upscale_factor: ${factor} makes ${width}x${height} larger than ${LARGEST_SIDE_PX} px: expected a smaller one`,
    );
  }
  if (field === "image_url") {
    return { kind: "picture", count: 1, ...size };
  }
  return { kind: "video", frames: input.frames ?? 1, fps: input.fps ?? 16, ...size };
}
