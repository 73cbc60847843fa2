import { adjustFilters } from "./adjust.ts";
import type { Ffmpeg } from "./ffmpeg.ts";
import type { Fit } from "./fit.ts";
import { FramesError } from "./frames/arithmetic.ts";
import { type Size, frameBytes, greyFrame } from "./frames/format.ts";
import { CountError, type Measure, withLengths } from "./measure.ts";
import { type FrameReader, readFrames, readPicture } from "./read-frames.ts";
import { encodeFrames } from "./write-video.ts";

/** Frames of a guide that come from a file. Where two lie on the same frame, the later one in the list is on top. */
export interface GuideLayer {
  /** A picture, or a video. */
  readonly path: string;
  /** The guide's frame at which it begins. */
  readonly at: number;
  /** A picture is repeated that often; of a video, that many frames are used. Default 1. */
  readonly frames?: number;
  /** Of a video: its first frame to use. Negative counts from its end: −8 with 8 frames are its last eight. Default 0. */
  readonly from?: number;
  /** 1 covers what is below, 0 leaves it. One number, or one for each frame. Default 1. */
  readonly strength?: number | readonly number[];
  /** 0 leaves the colours, 1 makes it grey. Default 0. */
  readonly desaturate?: number;
  /** b in ×(1 + b), clipped. Default 0. */
  readonly brightness?: number;
  /** How a file of another shape is fitted. Default crop. */
  readonly fit?: Fit;
}

export interface GuideVideo {
  readonly target: string;
  readonly size: Size;
  readonly fps: number;
  readonly frames: number;
  readonly layers: readonly GuideLayer[];
  /** The grey where no layer lies, 0 to 255. Default 128. */
  readonly free?: number;
}

const FORMAT = "yuv420p";
const FREE_GREY = 128;

/**
 * Writes the video that a VACE model follows: grey 128 where it is free, and the layers' frames (those shared with the segment
 * before, anchors) where it is not. It has exactly `frames` frames.
 * @throws FramesError when a layer reaches beyond the guide or beyond its video; Error naming the file that cannot be read.
 */
export async function writeGuideVideo(ffmpeg: Ffmpeg, guide: GuideVideo): Promise<void> {
  await withLengths((measure) => writeMeasured(ffmpeg, guide, measure));
}

async function writeMeasured(ffmpeg: Ffmpeg, guide: GuideVideo, measure: Measure): Promise<void> {
  const { target, size, fps } = guide;
  const layers: OpenLayer[] = [];
  try {
    for (const layer of guide.layers) {
      layers.push(await openLayer(ffmpeg, layer, guide, measure));
    }
    await encodeFrames(ffmpeg, target, { size, format: FORMAT, fps, care: "helper" }, guideFrames(guide, layers));
  } finally {
    for (const { reader } of layers) {
      await reader?.close();
    }
  }
}

interface OpenLayer {
  readonly at: number;
  readonly end: number;
  readonly strength: (index: number) => number;
  readonly frame: Buffer;
  /** Null: a picture, which is in `frame` already. */
  readonly reader: FrameReader | null;
  readonly path: string;
  /** Whether its last frame has to be the video's. */
  readonly toEnd: boolean;
}

async function openLayer(ffmpeg: Ffmpeg, layer: GuideLayer, guide: GuideVideo, measure: Measure): Promise<OpenLayer> {
  const { path, at, frames = 1, from = 0, strength = 1, desaturate = 0, brightness = 0, fit = "crop" } = layer;
  const end = at + frames;
  if (!Number.isInteger(at) || !Number.isInteger(end) || at < 0 || frames < 1 || end > guide.frames) {
    throw new FramesError(`${path} cannot lie on frames ${at} to ${end} of a guide of ${guide.frames} frames`);
  }
  const filters = adjustFilters({ saturation: 1 - desaturate, brightness });
  const options = { size: guide.size, format: FORMAT, fit, filters } as const;
  const found = await measure(ffmpeg, path);
  const strengthOf = (index: number) => (typeof strength === "number" ? strength : (strength[index] ?? 1));
  const open = { at, end, path, strength: strengthOf, toEnd: false };
  if (found.frames === 1) {
    return { ...open, frame: await readPicture(ffmpeg, path, options), reader: null };
  }
  const start = from < 0 ? found.frames + from : from;
  if (start < 0 || start + frames > found.frames) {
    throw new FramesError(`${path} has ${found.frames} frames: frames ${start} to ${start + frames} are not in it`);
  }
  // What counts from the end has to reach the end.
  const toEnd = from < 0 && start + frames === found.frames;
  const reader = readFrames(ffmpeg, path, { ...options, range: toEnd ? { start } : { start, end: start + frames } });
  return { ...open, frame: Buffer.allocUnsafe(frameBytes(FORMAT, guide.size)), reader, toEnd };
}

async function* guideFrames({ size, frames, free: grey = FREE_GREY }: GuideVideo, layers: readonly OpenLayer[]) {
  const free = greyFrame(FORMAT, size, grey);
  const buffers = [Buffer.from(free), Buffer.from(free)] as const;
  for (let at = 0; at < frames; at += 1) {
    const into = buffers[(at % 2) as 0 | 1];
    free.copy(into);
    for (const layer of layers.filter((each) => each.at <= at && at < each.end)) {
      if (layer.reader !== null && !(await layer.reader.read(layer.frame))) {
        throw new CountError(`${layer.path} ended early: its frame for frame ${at} of the guide is missing`);
      }
      cover(into, layer.frame, layer.strength(at - layer.at));
      if (layer.toEnd && at + 1 === layer.end && (await layer.reader?.read(layer.frame)) === true) {
        throw new CountError(`${layer.path} has more frames than packets`);
      }
    }
    yield into;
  }
}

function cover(into: Buffer, layer: Buffer, strength: number): void {
  if (strength === 1) {
    layer.copy(into);
    return;
  }
  for (let at = 0; at < into.length; at += 1) {
    const below = into[at] as number;
    into[at] = Math.round(below + ((layer[at] as number) - below) * strength);
  }
}
