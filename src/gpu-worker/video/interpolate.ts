import { rm } from "node:fs/promises";
import type { Ffmpeg } from "./ffmpeg.ts";
import { FramesError } from "./frames/arithmetic.ts";
import type { Size } from "./frames/format.ts";
import { measureVideo } from "./measure.ts";
import { framesOf, readPicture } from "./read-frames.ts";
import { rewriteVideo } from "./rewrite.ts";
import { encodeFrames } from "./write-video.ts";

const FORMAT = "yuv420p";

/**
 * ffmpeg's motion compensation. It looks one frame back and two ahead, so the first frame is given twice and the last one three
 * times; what it makes of the first copy is left out.
 */
function motionFilters(frames: number, factor: number, scenes: "detect" | "ignore"): string[] {
  const last = `trim=start_frame=${frames - 1},setpts=N`;
  const copies = [
    "settb=1/25,setpts=N,split=4[head][all][tail][end]",
    "[head]trim=end_frame=1[head1]",
    `[tail]${last}[tail1]`,
    `[end]${last}[end1]`,
    "[head1][all][tail1][end1]concat=n=4,settb=1/25,setpts=N",
  ];
  return [
    copies.join(";"),
    `minterpolate=fps=${25 * factor}:mi_mode=mci:me_mode=bidir:scd=${scenes === "detect" ? "fdiff" : "none"}`,
    `trim=start_frame=${factor}:end_frame=${factor + (frames - 1) * factor + 1}`,
  ];
}

/**
 * Writes a video from one picture to another, estimated by ffmpeg's motion compensation: a stand-in for a model. The first frame is
 * the first picture and the last frame the last one.
 * @returns `frames`.
 */
export async function interpolatePictures(
  ffmpeg: Ffmpeg,
  pictures: { readonly first: string; readonly last: string },
  wanted: { readonly frames: number; readonly fps: number; readonly size: Size },
  target: string,
): Promise<number> {
  const { frames, fps, size } = wanted;
  if (!Number.isInteger(frames) || frames < 2) {
    throw new FramesError(`${frames} frames cannot lead from one picture to another: expected at least 2`);
  }
  const shape = { size, format: FORMAT } as const;
  const first = await readPicture(ffmpeg, pictures.first, { ...shape, fit: "crop" });
  const last = await readPicture(ffmpeg, pictures.last, { ...shape, fit: "crop" });
  const pair = `${target}.pair.mp4`;

  async function* between() {
    const filters = motionFilters(2, frames - 1, "ignore");
    let at = 0;
    for await (const frame of framesOf(ffmpeg, pair, { ...shape, filters })) {
      yield at === 0 ? first : at === frames - 1 ? last : frame;
      at += 1;
    }
  }

  try {
    await encodeFrames(ffmpeg, pair, { ...shape, fps: 25, care: "lossless" }, inTurn([first, last]));
    return await encodeFrames(ffmpeg, target, { ...shape, fps }, between());
  } finally {
    await rm(pair, { force: true });
  }
}

async function* inTurn(frames: readonly Buffer[]) {
  yield* frames;
}

/**
 * Puts `factor` − 1 estimated frames between any two of a video and raises its rate by the factor, so its duration stays but for the
 * last frame: (frames − 1) × factor + 1 frames. Sound stays.
 * @param factor a whole number from 1.
 * @returns the number of frames.
 */
export async function interpolateVideo(ffmpeg: Ffmpeg, video: string, factor: number, target: string): Promise<number> {
  if (!Number.isInteger(factor) || factor < 1) {
    throw new FramesError(`the rate of ${video} cannot be raised ${factor} times: expected a whole number from 1`);
  }
  const facts = await measureVideo(ffmpeg, video);
  const filters = factor === 1 ? [] : motionFilters(facts.frames, factor, "detect");
  return await rewriteVideo(ffmpeg, { video, facts, target, fps: facts.fps * factor, filters });
}

/**
 * Calms flicker: each frame becomes the mean of itself and its neighbours, weighted 1 : 2 : 1, mixed in by `strength` (0 to 1).
 * Frames, size, rate and sound stay.
 * @returns the number of frames.
 */
export async function smoothVideo(ffmpeg: Ffmpeg, video: string, strength: number, target: string): Promise<number> {
  const facts = await measureVideo(ffmpeg, video);
  return await rewriteVideo(ffmpeg, { video, facts, target }, (frames) => smoothed(frames, strength));
}

async function* smoothed(frames: AsyncIterable<Buffer>, strength: number) {
  let before: Buffer | null = null;
  let current: Buffer | null = null;
  const out: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  let at = 0;

  function mixed(a: Buffer, b: Buffer, c: Buffer): Buffer {
    const slot = (at % 2) as 0 | 1;
    at += 1;
    if (out[slot].length !== b.length) {
      out[slot] = Buffer.allocUnsafe(b.length);
    }
    const into = out[slot];
    const side = strength / 4;
    const middle = 1 - strength / 2;
    for (let byte = 0; byte < into.length; byte += 1) {
      into[byte] = Math.round((b[byte] as number) * middle + ((a[byte] as number) + (c[byte] as number)) * side);
    }
    return into;
  }

  for await (const frame of frames) {
    const next = Buffer.from(frame);
    if (current !== null) {
      yield mixed(before ?? current, current, next);
      before = current;
    }
    current = next;
  }
  if (current !== null) {
    yield mixed(before ?? current, current, current);
  }
}
