import type { Plane } from "./format.ts";

/** Values are 64ths, so that neither of the two passes rounds visibly, and a weighted sum fits 32 bits. */
export const UNIT = 64;
const WEIGHT_BITS = 16;
/** How many samples on each side the window has. */
const REACH = 9;

/** The weights of a Gaussian from its middle outwards, in 65536ths over both sides. Reaches 3 σ, beyond which 8 bits show nothing. */
function weightsOf(sigma: number): Int32Array {
  const reach = Math.round(sigma * 3);
  if (reach > REACH) {
    throw new RangeError(`sigma: expected at most ${REACH / 3} pixels, got ${sigma}`);
  }
  const exact = Array.from({ length: REACH + 1 }, (_, at) =>
    at > reach ? 0 : Math.exp(-(at * at) / (2 * sigma * sigma)),
  );
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

type Weights = readonly [number, number, number, number, number, number, number, number, number, number];

/** Working memory for a row: its samples with their mirrored edges, and the sums that come of them. */
interface Row {
  readonly padded: Int32Array;
  readonly sums: Int32Array;
}

function rowFor(length: number, channels: number): Row {
  const samples = length * channels;
  return { sums: new Int32Array(samples), padded: new Int32Array(samples + 2 * REACH * channels) };
}

/**
 * Sums the samples around each one by their weights. The nineteen of a window stay in variables while it moves along, so each sample is
 * read once: that takes half the time of a loop over the window.
 * @param channel the first sample; the others are `channels` apart
 */
function weigh({ padded, sums }: Row, channel: number, channels: number, weights: Int32Array): void {
  const [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9] = weights as unknown as Weights;
  let next = channel;
  const read = () => padded[(next += channels) - channels] as number;
  let [a9, a8, a7, a6, a5, a4, a3, a2, a1] = [read(), read(), read(), read(), read(), read(), read(), read(), read()];
  let own = read();
  let [b1, b2, b3, b4, b5, b6, b7, b8] = [read(), read(), read(), read(), read(), read(), read(), read()];
  for (let at = channel; at < sums.length; at += channels, next += channels) {
    const b9 = padded[next] as number;
    // The sum fits 32 bits; without the last step it is computed as if it might not.
    sums[at] =
      (Math.imul(own, w0) +
        Math.imul(a1 + b1, w1) +
        Math.imul(a2 + b2, w2) +
        Math.imul(a3 + b3, w3) +
        Math.imul(a4 + b4, w4) +
        Math.imul(a5 + b5, w5) +
        Math.imul(a6 + b6, w6) +
        Math.imul(a7 + b7, w7) +
        Math.imul(a8 + b8, w8) +
        Math.imul(a9 + b9, w9)) |
      0;
    a9 = a8;
    a8 = a7;
    a7 = a6;
    a6 = a5;
    a5 = a4;
    a4 = a3;
    a3 = a2;
    a2 = a1;
    a1 = own;
    own = b1;
    b1 = b2;
    b2 = b3;
    b3 = b4;
    b4 = b5;
    b5 = b6;
    b6 = b7;
    b7 = b8;
    b8 = b9;
  }
}

/** Blurs the rows of a plane and writes them as columns: done twice, it has blurred both ways and the plane lies as before. */
function blurToColumns(
  source: Uint16Array,
  { width, height, channels }: Pick<Plane, "width" | "height" | "channels">,
  weights: Int32Array,
  row: Row,
  target: Uint16Array,
): void {
  const middle = REACH * channels;
  const stride = width * channels;
  const half = 2 ** (WEIGHT_BITS - 1);
  const { padded, sums } = row;
  for (let y = 0; y < height; y += 1) {
    const from = y * stride;
    padded.set(source.subarray(from, from + stride), middle);
    for (let x = 1; x <= REACH; x += 1) {
      const [before, after] = [mirrored(-x, width) * channels, mirrored(width - 1 + x, width) * channels];
      for (let channel = 0; channel < channels; channel += 1) {
        padded[middle - x * channels + channel] = source[from + before + channel] as number;
        padded[middle + (width - 1 + x) * channels + channel] = source[from + after + channel] as number;
      }
    }
    for (let channel = 0; channel < channels; channel += 1) {
      weigh(row, channel, channels, weights);
      for (let at = channel, to = y * channels + channel; at < stride; at += channels, to += height * channels) {
        target[to] = ((sums[at] as number) + half) >> WEIGHT_BITS;
      }
    }
  }
}

/**
 * A Gaussian blur for planes of one shape, whose values are 64ths of 0 to 255. It keeps its working memory, because frames come by
 * the thousand: each answer is overwritten by the next.
 * @param sigma in pixels of the plane, at most 3.
 */
export function createBlur({ width, height, channels }: Plane, sigma: number) {
  const weights = weightsOf(sigma);
  const columns = new Uint16Array(width * height * channels);
  const blurred = new Uint16Array(width * height * channels);
  const [across, down] = [rowFor(width, channels), rowFor(height, channels)];

  return function blur(plane: Uint16Array): Uint16Array {
    blurToColumns(plane, { width, height, channels }, weights, across, columns);
    blurToColumns(columns, { width: height, height: width, channels }, weights, down, blurred);
    return blurred;
  };
}
