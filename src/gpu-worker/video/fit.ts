import type { PixelFormat, Size } from "./frames/format.ts";

/** How a picture of another shape is brought to a size: `stretch` changes its aspect, `crop` cuts off what is too much, `pad` adds black. */
export type Fit = "stretch" | "crop" | "pad";

const FLAGS = "flags=bicubic+accurate_rnd+full_chroma_int";

/** ffmpeg filters that bring frames to a size and to a raw format. */
export function fitFilter({ width, height }: Size, fit: Fit, format: PixelFormat): string[] {
  const colours =
    format === "rgb24" ? "in_color_matrix=auto" : "in_color_matrix=auto:out_color_matrix=bt709:out_range=tv";
  const scaled = `scale=w=${width}:h=${height}:${colours}:${FLAGS}`;
  const shaped = {
    stretch: [scaled],
    crop: [`${scaled}:force_original_aspect_ratio=increase`, `crop=${width}:${height}`],
    pad: [`${scaled}:force_original_aspect_ratio=decrease`, `pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2`],
  }[fit];
  return [...shaped, "setsar=1", `format=${format}`];
}
