import { mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Ffmpeg } from "./ffmpeg.ts";
import { evenSize, frameBytes } from "./frames/format.ts";
import { measureVideo } from "./measure.ts";
import { framesOf } from "./read-frames.ts";
import { encodeFrames } from "./write-video.ts";

const FORMAT = "yuv420p";
const CHUNK_BYTES = 64 * 1024 * 1024;

/**
 * Writes a video backwards, without sound. Chunks of it lie on the disk beside the target, without loss, while it is written:
 * memory does not grow with its length.
 * @param chunkBytes how many bytes of frames are in memory at once.
 * @returns the number of frames.
 */
export async function reverseVideo(
  ffmpeg: Ffmpeg,
  video: string,
  target: string,
  chunkBytes = CHUNK_BYTES,
): Promise<number> {
  const { frames, fps, ...facts } = await measureVideo(ffmpeg, video);
  const size = evenSize(facts);
  const perChunk = Math.max(1, Math.floor(chunkBytes / frameBytes(FORMAT, size)));
  const folder = await mkdtemp(join(dirname(target), "reverse-"));
  const chunkPath = (index: number) => join(folder, `${index}.mp4`);

  const chunks = Math.ceil(frames / perChunk);
  const forwards = framesOf(ffmpeg, video, { size, format: FORMAT });

  async function* nextChunk() {
    for (let at = 0; at < perChunk; at += 1) {
      const { done, value } = await forwards.next();
      if (done === true) {
        return;
      }
      yield value;
    }
  }

  async function* backwards() {
    for (let index = chunks - 1; index >= 0; index -= 1) {
      const chunk: Buffer[] = [];
      for await (const frame of framesOf(ffmpeg, chunkPath(index), { size, format: FORMAT })) {
        chunk.push(Buffer.from(frame));
      }
      yield* chunk.toReversed();
      await rm(chunkPath(index));
    }
  }

  try {
    for (let index = 0; index < chunks; index += 1) {
      await encodeFrames(ffmpeg, chunkPath(index), { size, format: FORMAT, fps, care: "lossless" }, nextChunk());
    }
    return await encodeFrames(ffmpeg, target, { size, format: FORMAT, fps }, backwards());
  } finally {
    await forwards.return(undefined);
    await rm(folder, { recursive: true, force: true });
  }
}
