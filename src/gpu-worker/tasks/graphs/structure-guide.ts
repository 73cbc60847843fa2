import { join } from "node:path";
import { type Structure, type StructurePart, structureParts } from "../../../task-types/graphs/structure.ts";
import { writeChosenFrames } from "../../video/chosen-frames.ts";
import { resampledFrames, spreadFrames } from "../../video/frames/arithmetic.ts";
import { type GuideLayer, writeGuideVideo } from "../../video/guide-video.ts";
import { measureVideo } from "../../video/measure.ts";
import { rewriteVideo } from "../../video/rewrite.ts";
import type { InputFile, TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";
import type { Shape } from "./clips.ts";

const BLACK = 0;

/** The frames of a segment that other videos guide, as layers of its guide. */
export async function structureLayers(
  run: TaskRun,
  structure: Structure,
  frames: number,
  shape: Shape,
): Promise<GuideLayer[]> {
  const layers: GuideLayer[] = [];
  for (const [index, part] of structureParts(structure, frames).entries()) {
    const video = await run.inputs.fetch(part.file.field, part.file.file, "video");
    const chosen = await chosenFrames(run, part, video, shape.fps);
    const name = `structure_${index}`;
    const raw = join(run.workDir, `${name}.mp4`);
    const filters = structure.preprocessing === "canny" ? edgeFilters(structure.canny_intensity) : [];
    await writeChosenFrames(run.ffmpeg, { video: video.path, frames: chosen, ...shape, filters }, raw);
    const expected = { frames: part.frames, fps: shape.fps, ...shape.size };
    await run.debug.measure("SEGMENT_DEBUG", `structure video ${index}`, raw, expected);
    const path = part.file.field.endsWith("_guidance_video_url")
      ? raw
      : await preprocessed(run, structure, raw, { ...shape, frames: part.frames, name });
    layers.push({ path, at: part.at, frames: part.frames, from: 0 });
  }
  return layers;
}

/** What the model Uni3C follows: the videos as they are, black where there is none. */
export async function uni3cInputs(run: TaskRun, structure: Structure, frames: number, shape: Shape) {
  const layers = await structureLayers(run, { ...structure, preprocessing: "none" }, frames, shape);
  const target = join(run.workDir, "uni3c_guide.mp4");
  await writeGuideVideo(run.ffmpeg, { ...shape, target, frames, layers, free: BLACK });
  await run.debug.measure("SEGMENT_DEBUG", "the guide of Uni3C", target, { frames, fps: shape.fps, ...shape.size });
  return {
    use_uni3c: true,
    uni3c_guide_video: target,
    uni3c_strength: structure.strength,
    uni3c_start_percent: structure.step_window[0],
    uni3c_end_percent: structure.step_window[1],
    uni3c_frame_policy: structure.frame_policy,
    uni3c_zero_empty_frames: structure.zero_empty_frames,
    uni3c_keep_on_gpu: structure.keep_on_gpu,
  };
}

/** Which frames of a video guide a part of the segment. */
async function chosenFrames(run: TaskRun, part: StructurePart, video: InputFile, fps: number): Promise<number[]> {
  const { source_start_frame: start, source_end_frame: end, treatment } = part.video;
  const total = video.frames ?? (await measureVideo(run.ffmpeg, video.path)).frames;
  const last = Math.min(end ?? total, total);
  if (start >= last) {
    throw new ParamsError(
      `params.${part.file.field}: expected a video of more than ${start} frames, the first one to use, got one of ${total}`,
    );
  }
  const spread = () => spreadFrames(last - start, part.span);
  const ownPace = () => {
    const once = resampledFrames(last - start, video.fps ?? fps, fps);
    return Array.from({ length: part.span }, (_, at) => once[at % once.length] ?? 0);
  };
  const frames = treatment === "adjust" ? spread() : ownPace();
  return frames.slice(part.skipped, part.skipped + part.frames).map((frame) => start + frame);
}

function edgeFilters(intensity: number): string[] {
  const brighter = `lutyuv=y='clip((val-16)*${intensity}+16,16,235)'`;
  return ["edgedetect=low=0.1:high=0.3", "format=yuv420p", ...(intensity === 1 ? [] : [brighter])];
}

interface Video extends Shape {
  readonly frames: number;
  readonly name: string;
}

/** What the model follows of a video: its motion, its depth, or what it has already. */
async function preprocessed(run: TaskRun, structure: Structure, raw: string, video: Video): Promise<string> {
  const { preprocessing: job, strength, depth_contrast: contrast } = structure;
  if (job !== "flow" && job !== "depth") {
    return raw;
  }
  const { engine, workDir, ffmpeg, signal, progress } = run;
  if (!engine.can(job) || engine.transform === undefined) {
    throw new Error(`the engine ${engine.name} has no model for ${job}; the preprocessing canny or none needs none`);
  }
  const { frames, fps, size, name } = video;
  const { files } = await engine.transform({
    job,
    model: null,
    inputs: [raw],
    make: { kind: "video", frames, fps, ...size },
    ...(job === "flow" && { strength }),
    outputDir: workDir,
    basename: `${name}_${job}`,
    signal,
    onProgress: (_fraction, message) => progress(0, message),
  });
  if (job === "flow" || contrast === 1) {
    return files[0];
  }
  const target = join(workDir, `${name}_contrast.mp4`);
  const facts = await measureVideo(ffmpeg, files[0]);
  const filters = [`lutyuv=y='clip((val-126)*${contrast}+126,16,235)'`];
  await rewriteVideo(ffmpeg, { video: files[0], facts, target, filters });
  return target;
}
