import { addBanner } from "../../video/banner.ts";
import { extractFrame } from "../../video/pictures.ts";
import type { TaskRun } from "../handler.ts";

/** Null: there is none, and a frame of the video stands there. */
export interface BannerPictures {
  readonly start: string | null;
  readonly end: string | null;
}

/** Writes a video with the pictures between which it lies above it: twice as high. */
export async function writeBanner(
  { ffmpeg }: Pick<TaskRun, "ffmpeg">,
  video: string,
  { start, end }: BannerPictures,
  target: string,
): Promise<void> {
  const last = `${target}.last.png`;
  if (end === null) {
    await extractFrame(ffmpeg, video, -1, last);
  }
  await addBanner(ffmpeg, video, { start: start ?? video, end: end ?? last }, target);
}
