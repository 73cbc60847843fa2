import { type PixelFormat, type Size, planesOf } from "./format.ts";
import { createBlur } from "./gaussian.ts";

const SIGMA_PX = 3;

/** How much of the later part frame `index` (from 0) of `count` cross-faded ones has: it rises as a cosine, and the last has only it. */
export function fadeAlpha(index: number, count: number): number {
  return (1 - Math.cos((Math.PI * (index + 1)) / count)) / 2;
}

/**
 * Cross-fades frames of one shape. The blend of two frames by alpha is sharpened by what it differs from its Gaussian blur
 * (σ 3 px), times `sharpen` × alpha: base · (1 + s · alpha) − blur · s · alpha, rounded and clipped to 8 bits.
 */
export function createCrossFade(format: PixelFormat, size: Size, sharpen: number) {
  const planes = planesOf(format, size).map((plane) => ({
    ...plane,
    blend: new Float32Array(plane.width * plane.height * plane.channels),
    blur: createBlur(plane, SIGMA_PX / plane.step),
  }));

  /** Writes the frame `alpha` of the way from `first` to `second` into `first`. */
  return function crossFade(first: Uint8Array, second: Uint8Array, alpha: number): void {
    const amount = sharpen * alpha;
    for (const { offset, blend, blur } of planes) {
      for (let at = 0; at < blend.length; at += 1) {
        const [a, b] = [first[offset + at] as number, second[offset + at] as number];
        blend[at] = a + (b - a) * alpha;
      }
      const blurred = amount > 0 ? blur(blend) : blend;
      for (let at = 0; at < blend.length; at += 1) {
        const value = blend[at] as number;
        const sharp = value + (value - (blurred[at] as number)) * amount;
        first[offset + at] = sharp <= 0 ? 0 : sharp >= 255 ? 255 : Math.round(sharp);
      }
    }
  };
}
