import { extname } from "node:path";
import { TO_RGB } from "./encoding.ts";
import type { Ffmpeg } from "./ffmpeg.ts";
import { type Fit, fitFilter } from "./fit.ts";
import { FramesError } from "./frames/arithmetic.ts";
import type { Size } from "./frames/format.ts";
import { measureVideo } from "./measure.ts";

/**
 * Writes one frame of a video as PNG.
 * @param index from 0; negative counts from the end, -1 is the last.
 * @returns the frame's number from 0.
 * @throws FramesError when the video has no such frame.
 */
export async function extractFrame(ffmpeg: Ffmpeg, video: string, index: number, target: string): Promise<number> {
  const { frames } = await measureVideo(ffmpeg, video);
  const at = index < 0 ? frames + index : index;
  if (!Number.isInteger(at) || at < 0 || at >= frames) {
    throw new FramesError(`${video} has no frame ${index}: it has ${frames} frames, 0 to ${frames - 1}`);
  }
  await writePicture(ffmpeg, video, [`trim=start_frame=${at}:end_frame=${at + 1}`, TO_RGB], target);
  return at;
}

/** Writes a picture in another size, as PNG or, by the target's name, as JPEG. */
export async function fitPicture(ffmpeg: Ffmpeg, picture: string, size: Size, fit: Fit, target: string): Promise<void> {
  await writePicture(ffmpeg, picture, fitFilter(size, fit, "rgb24"), target);
}

async function writePicture(ffmpeg: Ffmpeg, source: string, filters: string[], target: string): Promise<void> {
  const isJpeg = [".jpg", ".jpeg"].includes(extname(target).toLowerCase());
  // JPEG has colours of full range by BT.601.
  const last = isJpeg ? ["scale=out_color_matrix=bt601:out_range=pc,format=yuvj420p"] : [];
  const codec = isJpeg ? ["-c:v", "mjpeg", "-q:v", "2"] : ["-c:v", "png"];
  const chain = [...filters, ...last].join(",");
  await ffmpeg.run(["-i", source, "-map", "0:v:0", "-vf", chain, "-frames:v", "1", ...codec, "-f", "image2", target]);
}
