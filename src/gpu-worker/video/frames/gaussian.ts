import type { Plane } from "./format.ts";

/** The weights of a Gaussian from its middle outwards, summing to 1 over both sides. Reaches 3 σ, beyond which 8 bits show nothing. */
function weightsOf(sigma: number): Float64Array {
  const reach = Math.max(1, Math.round(sigma * 3));
  const weights = Float64Array.from({ length: reach + 1 }, (_, at) => Math.exp(-(at * at) / (2 * sigma * sigma)));
  const sum = weights.reduce((total, weight, at) => total + (at === 0 ? weight : 2 * weight), 0);
  return weights.map((weight) => weight / sum);
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
 * A Gaussian blur for planes of one shape. It keeps its working memory, because frames come by the thousand.
 * @param sigma in pixels of the plane.
 */
export function createBlur({ width, height, channels }: Plane, sigma: number) {
  const weights = weightsOf(sigma);
  const reach = weights.length - 1;
  const stride = width * channels;
  const rows = new Float32Array(stride * height);
  const blurred = new Float32Array(stride * height);
  /** A row with its mirrored edges. */
  const padded = new Float32Array((width + 2 * reach) * channels);

  function blurRow(source: Float32Array, from: number): void {
    for (let x = -reach; x < width + reach; x += 1) {
      const at = (x + reach) * channels;
      const of = from + mirrored(x, width) * channels;
      for (let channel = 0; channel < channels; channel += 1) {
        padded[at + channel] = source[of + channel] as number;
      }
    }
    const middle = reach * channels;
    for (let x = 0; x < stride; x += 1) {
      const at = middle + x;
      let sum = (padded[at] as number) * (weights[0] as number);
      for (let tap = 1, off = channels; tap <= reach; tap += 1, off += channels) {
        sum += ((padded[at - off] as number) + (padded[at + off] as number)) * (weights[tap] as number);
      }
      rows[from + x] = sum;
    }
  }

  function blurColumns(y: number): void {
    const to = y * stride;
    const first = weights[0] as number;
    for (let x = 0; x < stride; x += 1) {
      blurred[to + x] = (rows[to + x] as number) * first;
    }
    for (let tap = 1; tap <= reach; tap += 1) {
      const weight = weights[tap] as number;
      const above = mirrored(y - tap, height) * stride;
      const below = mirrored(y + tap, height) * stride;
      for (let x = 0; x < stride; x += 1) {
        blurred[to + x] =
          (blurred[to + x] as number) + ((rows[above + x] as number) + (rows[below + x] as number)) * weight;
      }
    }
  }

  /** @returns the blurred plane. It belongs to the blur: its next use overwrites it. */
  return function blur(plane: Float32Array): Float32Array {
    for (let y = 0; y < height; y += 1) {
      blurRow(plane, y * stride);
    }
    for (let y = 0; y < height; y += 1) {
      blurColumns(y);
    }
    return blurred;
  };
}
