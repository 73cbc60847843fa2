import type { Ffmpeg } from "./ffmpeg.ts";

/** Writes the first frame of a video, or a picture, as a JPEG of the same size. @throws Error quoting ffmpeg */
export async function makeThumbnail(ffmpeg: Ffmpeg, source: string, path: string): Promise<void> {
  await ffmpeg.run(["-threads", "1", "-i", source, "-frames:v", "1", "-q:v", "3", "-f", "image2", path]);
}
