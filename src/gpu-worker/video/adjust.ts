import type { Ffmpeg } from "./ffmpeg.ts";
import { measureVideo } from "./measure.ts";
import { rewriteVideo } from "./rewrite.ts";

export interface Adjustments {
  /** 1 leaves it, 0 is grey. */
  readonly saturation?: number;
  /** b in ×(1 + b) of each of R, G and B, clipped. 0 leaves it. */
  readonly brightness?: number;
}

/** ffmpeg filters for adjustments; none where nothing changes. */
export function adjustFilters({ saturation = 1, brightness = 0 }: Adjustments): string[] {
  // The table's values are cut to whole numbers, so a half is added.
  const scaled = `'clip(val*${1 + brightness}+0.5,0,255)'`;
  return [
    ...(saturation === 1 ? [] : [`eq=saturation=${saturation}`]),
    ...(brightness === 0 ? [] : ["format=gbrp", `lutrgb=r=${scaled}:g=${scaled}:b=${scaled}`]),
  ];
}

/**
 * Writes a video with other saturation and brightness. Frames, size, rate and sound stay.
 * @returns the number of frames.
 */
export async function adjustVideo(
  ffmpeg: Ffmpeg,
  video: string,
  adjustments: Adjustments,
  target: string,
): Promise<number> {
  const facts = await measureVideo(ffmpeg, video);
  return await rewriteVideo(ffmpeg, { video, facts, target, filters: adjustFilters(adjustments) });
}
