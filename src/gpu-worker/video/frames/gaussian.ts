import type { Plane } from "./format.ts";

/** Values are 64ths, so that neither of the two passes rounds visibly, and a weighted sum fits 32 bits. */
export const UNIT = 64;
const WEIGHT_BITS = 16;

/** The weights of a Gaussian from its middle outwards, in 65536ths over both sides. Reaches 3 σ, beyond which 8 bits show nothing. */
function weightsOf(sigma: number): Int32Array {
  const reach = Math.max(1, Math.round(sigma * 3));
  const exact = Array.from({ length: reach + 1 }, (_, at) => Math.exp(-(at * at) / (2 * sigma * sigma)));
  const sum = exact.reduce((total, weight, at) => total + (at === 0 ? weight : 2 * weight), 0);
  const weights = Int32Array.from(exact, (weight) => Math.round((weight / sum) * 2 ** WEIGHT_BITS));
  const outer = weights.subarray(1).reduce((total, weight) => total + 2 * weight, 0);
  weights[0] = 2 ** WEIGHT_BITS - outer;
  return weights;
}

/** The index that stands in for one beyond the edge: pictures are mirrored around their outermost pixels. */
function mirrored(index: number, length: number): number {
  if (length === 1) {
    return 0;
  }
  const period = 2 * (length - 1);
  const wrapped = ((index % period) + period) % period;
  return wrapped < length ? wrapped : period - wrapped;
}

/**
 * Blurs the rows of a plane and writes them as columns: done twice, it has blurred both ways and the plane lies as before.
 * @param padded working memory for a row with its mirrored edges.
 */
function blurToColumns(
  source: Int32Array,
  { width, height, channels }: Pick<Plane, "width" | "height" | "channels">,
  weights: Int32Array,
  padded: Int32Array,
  target: Int32Array,
): void {
  const reach = weights.length - 1;
  const middle = reach * channels;
  const stride = width * channels;
  const half = 2 ** (WEIGHT_BITS - 1);
  for (let y = 0; y < height; y += 1) {
    const from = y * stride;
    padded.set(source.subarray(from, from + stride), middle);
    for (let x = 1; x <= reach; x += 1) {
      const [before, after] = [mirrored(-x, width) * channels, mirrored(width - 1 + x, width) * channels];
      for (let channel = 0; channel < channels; channel += 1) {
        padded[middle - x * channels + channel] = source[from + before + channel] as number;
        padded[middle + (width - 1 + x) * channels + channel] = source[from + after + channel] as number;
      }
    }
    for (let channel = 0; channel < channels; channel += 1) {
      const end = middle + stride;
      for (let at = middle + channel, to = y * channels + channel; at < end; at += channels, to += height * channels) {
        let sum = Math.imul(padded[at] as number, weights[0] as number);
        for (let tap = 1, off = channels; tap <= reach; tap += 1, off += channels) {
          const pair = (padded[at - off] as number) + (padded[at + off] as number);
          sum = (sum + Math.imul(pair, weights[tap] as number)) | 0;
        }
        target[to] = (sum + half) >> WEIGHT_BITS;
      }
    }
  }
}

/**
 * A Gaussian blur for planes of one shape, whose values are 64ths of 0 to 255. It keeps its working memory, because frames come by
 * the thousand: each answer is overwritten by the next.
 * @param sigma in pixels of the plane.
 */
export function createBlur({ width, height, channels }: Plane, sigma: number) {
  const weights = weightsOf(sigma);
  const columns = new Int32Array(width * height * channels);
  const blurred = new Int32Array(width * height * channels);
  const padded = new Int32Array((Math.max(width, height) + 2 * (weights.length - 1)) * channels);

  return function blur(plane: Int32Array): Int32Array {
    blurToColumns(plane, { width, height, channels }, weights, padded, columns);
    blurToColumns(columns, { width: height, height: width, channels }, weights, padded, blurred);
    return blurred;
  };
}
