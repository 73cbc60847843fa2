import type { Ffmpeg } from "./ffmpeg.ts";
import { FramesError } from "./frames/arithmetic.ts";
import { evenSize, greyFrame, pasteFrame } from "./frames/format.ts";
import { measureVideo } from "./measure.ts";
import { readPicture } from "./read-frames.ts";
import { rewriteVideo } from "./rewrite.ts";

const FORMAT = "yuv420p";

/**
 * Puts two pictures side by side above a video for as long as it lasts: where a segment begins and where it ends. The result is as
 * wide as the video and twice as high. Sound stays.
 * @returns the number of frames.
 */
export async function addBanner(
  ffmpeg: Ffmpeg,
  video: string,
  pictures: { readonly start: string; readonly end: string },
  target: string,
): Promise<number> {
  const facts = await measureVideo(ffmpeg, video);
  const size = evenSize(facts);
  const { width, height } = size;
  if (width < 4) {
    throw new FramesError(`${video} is ${width} px wide: a banner needs 4`);
  }
  const targetSize = { width, height: height * 2 };
  const left = evenSize({ width: width / 2, height });
  const right = { width: width - left.width, height };
  const start = await readPicture(ffmpeg, pictures.start, { size: left, format: FORMAT, fit: "crop" });
  const end = await readPicture(ffmpeg, pictures.end, { size: right, format: FORMAT, fit: "crop" });
  const composed = [greyFrame(FORMAT, targetSize, 0), greyFrame(FORMAT, targetSize, 0)] as const;
  for (const frame of composed) {
    pasteFrame(FORMAT, { frame, size: targetSize }, { frame: start, size: left }, { x: 0, y: 0 });
    pasteFrame(FORMAT, { frame, size: targetSize }, { frame: end, size: right }, { x: left.width, y: 0 });
  }

  async function* withBanner(frames: AsyncIterable<Buffer>) {
    let at = 0;
    for await (const frame of frames) {
      const into = composed[(at % 2) as 0 | 1];
      pasteFrame(FORMAT, { frame: into, size: targetSize }, { frame, size }, { x: 0, y: height });
      yield into;
      at += 1;
    }
  }
  return await rewriteVideo(ffmpeg, { video, facts, target, targetSize }, withBanner);
}
