import { type PixelFormat, type Size, planesOf } from "./format.ts";
import { createBlur, UNIT } from "./gaussian.ts";

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
    blend: new Uint16Array(plane.width * plane.height * plane.channels),
    blur: createBlur(plane, SIGMA_PX / plane.step),
  }));

  /** Writes the frame `alpha` of the way from `first` to `second` into `first`. */
  return function crossFade(first: Uint8Array, second: Uint8Array, alpha: number): void {
    const amount = sharpen * alpha;
    for (const { offset, blend, blur } of planes) {
      mix(first, second, offset, alpha, blend);
      put(blend, amount > 0 ? blur(blend) : blend, amount, first, offset);
    }
  };
}

function mix(first: Uint8Array, second: Uint8Array, offset: number, alpha: number, blend: Uint16Array): void {
  const [rest, share] = [UNIT * (1 - alpha), UNIT * alpha];
  for (let at = 0; at < blend.length; at += 1) {
    blend[at] = (first[offset + at] as number) * rest + (second[offset + at] as number) * share + 0.5;
  }
}

function put(blend: Uint16Array, blurred: Uint16Array, amount: number, into: Uint8Array, offset: number): void {
  // A name of another module is looked up for each pixel.
  const unit = UNIT;
  for (let at = 0; at < blend.length; at += 1) {
    const value = blend[at] as number;
    const sharp = (value + (value - (blurred[at] as number)) * amount) / unit + 0.5;
    into[offset + at] = sharp <= 0 ? 0 : sharp >= 255 ? 255 : sharp;
  }
}
