import type { Size } from "../../../task-types/size.ts";

export type { Size };

/**
 * How a raw frame lies in memory. `rgb24`: three bytes a pixel, row by row. `yuv420p`: the plane Y, then U and V with half the
 * sides; BT.709, limited range. Blends of whole frames give the same in both, and yuv420p is half the bytes and needs no conversion.
 */
export type PixelFormat = "rgb24" | "yuv420p";

/** A part of a raw frame whose rows have `width` × `channels` bytes. */
export interface Plane {
  readonly offset: number;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Pixels of the picture per sample, along each side. */
  readonly step: number;
}

export function frameBytes(format: PixelFormat, { width, height }: Size): number {
  return format === "rgb24" ? width * height * 3 : width * height + 2 * (halved(width) * halved(height));
}

export function planesOf(format: PixelFormat, { width, height }: Size): readonly Plane[] {
  if (format === "rgb24") {
    return [{ offset: 0, width, height, channels: 3, step: 1 }];
  }
  const [w, h] = [halved(width), halved(height)];
  const chroma = { width: w, height: h, channels: 1, step: 2 };
  return [
    { offset: 0, width, height, channels: 1, step: 1 },
    { offset: width * height, ...chroma },
    { offset: width * height + w * h, ...chroma },
  ];
}

function halved(side: number): number {
  return Math.ceil(side / 2);
}

/** The size without the odd last column or row, which yuv420p cannot have. At least 2 × 2. */
export function evenSize({ width, height }: Size): Size {
  const even = (side: number) => Math.max(2, side - (side % 2));
  return { width: even(width), height: even(height) };
}

/** A frame of one grey. In yuv420p the value is scaled to the limited range: 0 gives 16, 255 gives 235. */
export function greyFrame(format: PixelFormat, size: Size, value: number): Buffer {
  const frame = Buffer.alloc(frameBytes(format, size), 128);
  const luma = format === "rgb24" ? value : Math.round(16 + (value * 219) / 255);
  return frame.fill(luma, 0, format === "rgb24" ? frame.length : size.width * size.height);
}

/** Copies a smaller frame into a larger one of the same format. In yuv420p both offsets and both sides are even. */
export function pasteFrame(
  format: PixelFormat,
  into: { readonly frame: Uint8Array; readonly size: Size },
  from: { readonly frame: Uint8Array; readonly size: Size },
  { x, y }: { readonly x: number; readonly y: number },
): void {
  const [wide, small] = [planesOf(format, into.size), planesOf(format, from.size)];
  for (const [index, { offset, width, height, channels, step }] of small.entries()) {
    const target = wide[index] as Plane;
    const bytes = width * channels;
    for (let row = 0; row < height; row += 1) {
      const at = target.offset + ((y / step + row) * target.width + x / step) * channels;
      const start = offset + row * bytes;
      into.frame.set(from.frame.subarray(start, start + bytes), at);
    }
  }
}

/** Fills an area of a frame in yuv420p with a grey, 0 to 255. Offsets and sides are even. */
export function fillArea(
  frame: Uint8Array,
  size: Size,
  { x, y, width, height }: Size & { readonly x: number; readonly y: number },
  grey: number,
): void {
  const area = greyFrame("yuv420p", { width, height }, grey);
  pasteFrame("yuv420p", { frame, size }, { frame: area, size: { width, height } }, { x, y });
}
