import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFfmpeg, type Ffmpeg, findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { type PixelFormat, type Size, frameBytes, greyFrame } from "../../../src/gpu-worker/video/frames/format.ts";
import { framesOf } from "../../../src/gpu-worker/video/read-frames.ts";
import { encodeFrames } from "../../../src/gpu-worker/video/write-video.ts";

/** The size of the clips of most tests. */
export const SMALL: Size = { width: 64, height: 48 };

const ffmpegPath = await findFfmpeg(null);

export function testFfmpeg(signal: AbortSignal = new AbortController().signal): Ffmpeg {
  return createFfmpeg(ffmpegPath, signal);
}

/** A folder for one test; `path` names a file in it. */
export async function openFolder() {
  const folder = await mkdtemp(join(tmpdir(), "gpu-pool-video-"));
  return {
    folder,
    path: (name: string) => join(folder, name),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

interface Clip {
  readonly size?: Size;
  readonly fps?: number;
}

/** A clip of one grey a frame, 0 to 255, without loss. */
export async function greyClip(path: string, greys: readonly number[], { size = SMALL, fps = 16 }: Clip = {}) {
  async function* frames() {
    for (const grey of greys) {
      yield greyFrame("yuv420p", size, grey);
    }
  }
  await encodeFrames(testFfmpeg(), path, { size, format: "yuv420p", fps, care: "lossless" }, frames());
  return path;
}

/** The grey of a clip's frame whose number is coded in it: 16 of them, far enough apart to survive any encoding. */
export function greyOf(frame: number): number {
  return 8 + 15 * frame;
}

/** A clip whose frames can be told apart, at most 16. */
export async function numberedClip(path: string, frames: number, clip: Clip = {}) {
  return await greyClip(
    path,
    Array.from({ length: frames }, (_, frame) => greyOf(frame)),
    clip,
  );
}

/** The numbers of the frames of a clip that was made of `numberedClip`. */
export async function frameNumbers(path: string, size: Size = SMALL): Promise<number[]> {
  return (await meanGreys(path, size)).map((grey) => Math.round((grey - 8) / 15));
}

/** The mean of each frame's R, G and B. */
export async function meanColours(path: string, size: Size = SMALL): Promise<[number, number, number][]> {
  const frames = await rawFrames(path, "rgb24", size);
  return frames.map((frame) => {
    const mean = (channel: number) => {
      let sum = 0;
      for (let at = channel; at < frame.length; at += 3) {
        sum += frame[at] as number;
      }
      return sum / (frame.length / 3);
    };
    return [mean(0), mean(1), mean(2)];
  });
}

export async function meanGreys(path: string, size: Size = SMALL): Promise<number[]> {
  return (await meanColours(path, size)).map(([r, g, b]) => (r + g + b) / 3);
}

export async function rawFrames(path: string, format: PixelFormat, size: Size = SMALL): Promise<Buffer[]> {
  const frames: Buffer[] = [];
  for await (const frame of framesOf(testFfmpeg(), path, { size, format })) {
    frames.push(Buffer.from(frame));
  }
  return frames;
}

/** A frame in rgb24 of one colour. */
export function colourFrame(size: Size, colour: readonly [number, number, number]): Buffer {
  return Buffer.alloc(frameBytes("rgb24", size), Buffer.from(colour));
}
