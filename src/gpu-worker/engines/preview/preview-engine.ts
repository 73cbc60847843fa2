import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ANY } from "../../../task-types/grid.ts";
import { textValue, textsValue, type Values } from "../../tasks/values.ts";
import { createFfmpeg, type Ffmpeg } from "../../video/ffmpeg.ts";
import { probeVideo } from "../../video/probe-video.ts";
import type { Engine, Generated, GenerateRequest, Make, NotHonoured, TransformRequest } from "../engine.ts";
import { figureFor, writeFigures } from "./figure.ts";
import { type Gap, gapsOf } from "./mask-frames.ts";
import { renderPicture, renderVideo } from "./render.ts";
import { fadeScene, fileScene, filledScene, type Scene, sceneOf, type Sources } from "./scene.ts";

const NAME = "preview";
/** Pictures have no rate; their drawings need one. */
const PICTURE_FPS = 16;
const HONOURED = ["prompt", "video_length", "num_images", "fps", "resolution", "seed"];
/** By which parameters a task names the files of a scene. */
const SOURCES: Readonly<Record<keyof Sources, readonly string[]>> = {
  start: ["image_start", "image"],
  end: ["image_end"],
  guide: ["video_guide"],
  mask: ["video_mask", "mask_url"],
};
/** Lines where the poses of a video would be, shades of grey where depth, and what differs between frames where motion would be. */
const FILTERS = {
  pose: "edgedetect=low=0.1:high=0.3,format=yuv420p",
  depth: "gblur=sigma=4,hue=s=0,format=yuv420p",
  flow: "tblend=all_mode=difference128,hue=s=0,format=yuv420p",
  upscale: "null",
} as const;

type Size = Pick<Make, "width" | "height">;

/**
 * Makes real files of exactly the requested length, rate and size on any CPU, without any model, and marks every picture. It
 * replaces an engine where everything around the models is tried out or tested.
 */
export function createPreviewEngine(ffmpegPath: string): Engine {
  return {
    name: NAME,
    grid: ANY,
    can: () => true,
    async generate(request) {
      const ffmpeg = createFfmpeg(ffmpegPath, request.signal);
      const { values } = request;
      const sources = sourcesOf(values);
      const prompt = textValue(values, "prompt") ?? "";
      const gaps = await gapsToFill(ffmpeg, request.make, sources);
      const scene = (size: Size & { readonly fps: number }, frames: number, index: number) =>
        gaps !== null && sources.guide !== undefined
          ? filledScene(size, sources.guide, gaps)
          : sceneOf({ prompt, seed: Number(values["seed"] ?? 0) + index, ...size }, frames, sources);
      const files = await render(ffmpeg, request, scene);
      return { files, modelUsed: NAME, notHonoured: notHonoured(values) };
    },
    async transform(request) {
      const ffmpeg = createFfmpeg(ffmpegPath, request.signal);
      if (request.job === "pose" && request.make.kind === "picture") {
        return await drawFigure(ffmpeg, request);
      }
      const every = await framesEach(request, ffmpegPath);
      const files = await render(ffmpeg, request, (size, frames) => transformed(request, size, frames, every));
      return { files, modelUsed: NAME, notHonoured: [] };
    },
  };
}

async function drawFigure(ffmpeg: Ffmpeg, request: TransformRequest): Promise<Generated> {
  const { inputs, make, outputDir, basename } = request;
  const people = [await figureFor(inputs[0] ?? "")];
  const drawn = join(outputDir, `${basename}_figure.ppm`);
  await writeFigures(people, make, drawn);
  const files = await render(ffmpeg, request, (size) => fileScene(size, drawn, "null"));
  await rm(drawn, { force: true });
  return { files, modelUsed: NAME, notHonoured: [], people };
}

/** Null: the scene is drawn. */
async function gapsToFill(ffmpeg: Ffmpeg, make: Make, { guide, mask }: Sources): Promise<readonly Gap[] | null> {
  if (make.kind === "picture" || guide === undefined || mask === undefined) {
    return null;
  }
  const gaps = await gapsOf(ffmpeg, mask, guide, make.frames);
  const isAll = gaps?.some(({ keptBefore, keptAfter }) => keptBefore === null && keptAfter === null);
  return isAll ? null : gaps;
}

type Rated = Size & { readonly fps: number };

function transformed({ job, inputs }: TransformRequest, size: Rated, frames: number, every: number): Scene {
  const [first, last] = inputs;
  if (first === undefined) {
    throw new Error(`the job ${job} got no file`);
  }
  if (job === "interpolate") {
    return last === undefined ? fileScene(size, first, "null", every) : fadeScene(size, frames, [first, last]);
  }
  return fileScene(size, first, FILTERS[job]);
}

/** How many frames each frame of a video is shown, so that a video with more frames lasts as long. */
async function framesEach({ job, inputs, make }: TransformRequest, ffmpegPath: string): Promise<number> {
  const [video, other] = inputs;
  if (job !== "interpolate" || make.kind !== "video" || video === undefined || other !== undefined) {
    return 1;
  }
  const { frames } = await probeVideo(video, ffmpegPath);
  return frames > 1 ? (make.frames - 1) / (frames - 1) : 1;
}

/** Renders what is asked for, of the scene of each picture or of the one of the video. */
async function render(
  ffmpeg: Ffmpeg,
  { make, outputDir, basename, onProgress }: GenerateRequest | TransformRequest,
  sceneOfPart: (size: Size & { readonly fps: number }, frames: number, index: number) => Scene,
): Promise<Generated["files"]> {
  if (make.kind === "video") {
    const path = join(outputDir, `${basename}.mp4`);
    await renderVideo(ffmpeg, sceneOfPart(make, make.frames, 0), make, path, (frame) =>
      onProgress(Math.min(1, frame / make.frames), `frame ${frame} of ${make.frames}`),
    );
    return [path];
  }
  const { width, height, count } = make;
  const files: [string, ...string[]] = [join(outputDir, `${basename}.png`)];
  for (let index = 1; index < count; index += 1) {
    files.push(join(outputDir, `${basename}_${index + 1}.png`));
  }
  for (const [index, path] of files.entries()) {
    await renderPicture(ffmpeg, sceneOfPart({ width, height, fps: PICTURE_FPS }, 1, index), make, path);
    onProgress((index + 1) / count, `picture ${index + 1} of ${count}`);
  }
  return files;
}

function sourcesOf(values: Values): Sources {
  const first = (names: readonly string[]) => names.flatMap((name) => textsValue(values, name))[0];
  return {
    start: first(SOURCES.start),
    end: first(SOURCES.end),
    guide: first(SOURCES.guide),
    mask: first(SOURCES.mask),
  };
}

function notHonoured(values: Values): NotHonoured[] {
  const honoured = new Set([...HONOURED, ...Object.values(SOURCES).flat()]);
  const reasonFor = (param: string) =>
    param === "processing_time"
      ? "it is an estimate; a render takes as long as it takes"
      : "the preview engine runs no model";
  // What is false asks for nothing.
  const params = Object.keys(values).filter((param) => !honoured.has(param) && values[param] !== false);
  return params.map((param) => ({ param, reason: reasonFor(param) }));
}
