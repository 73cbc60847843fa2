/** Mean and standard deviation of L (0 to 100), a and b over all pixels of a picture. */
export interface LabStats {
  readonly mean: readonly [number, number, number];
  readonly deviation: readonly [number, number, number];
}

/** How a picture's Lab values are changed: (value − from) × ratio + to, in each of L, a and b. */
export interface LabChange {
  readonly from: readonly [number, number, number];
  readonly ratio: readonly [number, number, number];
  readonly to: readonly [number, number, number];
}

/** sRGB's white, D65, in XYZ. */
const WHITE = [0.950456, 1, 1.088754] as const;
const EPSILON = 216 / 24_389;
const KAPPA = 24_389 / 27;
const STEPS = 4_096;

const LINEAR = Float64Array.from({ length: 256 }, (_, value) => {
  const share = value / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
});
/** Roots by steps, between which values are interpolated. */
const ROOT = Float64Array.from({ length: STEPS + 2 }, (_, step) => rootOf(step / STEPS));
/** By steps of the linear value's square root, because dark values differ most. */
const GAMMA = Float64Array.from({ length: STEPS + 2 }, (_, step) => gammaOf((step / STEPS) ** 2));

function rootOf(value: number): number {
  return value > EPSILON ? Math.cbrt(value) : (KAPPA * value + 16) / 116;
}

function gammaOf(linear: number): number {
  return 255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055);
}

function between(table: Float64Array, share: number): number {
  const at = share * STEPS;
  const step = Math.floor(at);
  const low = table[step] as number;
  return low + ((table[step + 1] as number) - low) * (at - step);
}

function root(value: number): number {
  // Near black the curve bends more than the steps follow.
  return value < 0.02 ? rootOf(value) : between(ROOT, Math.min(1, value));
}

function byteOf(linear: number): number {
  return linear <= 0 ? 0 : linear >= 1 ? 255 : Math.round(between(GAMMA, Math.sqrt(linear)));
}

/** Writes L, a and b of the pixel at `at` into `lab`. */
function toLab(rgb: Uint8Array, at: number, lab: Float64Array): void {
  const r = LINEAR[rgb[at] as number] as number;
  const g = LINEAR[rgb[at + 1] as number] as number;
  const b = LINEAR[rgb[at + 2] as number] as number;
  const x = root((0.412453 * r + 0.35758 * g + 0.180423 * b) / WHITE[0]);
  const y = root(0.212671 * r + 0.71516 * g + 0.072169 * b);
  const z = root((0.019334 * r + 0.119193 * g + 0.950227 * b) / WHITE[2]);
  lab[0] = 116 * y - 16;
  lab[1] = 500 * (x - y);
  lab[2] = 200 * (y - z);
}

function cubeOf(value: number): number {
  const cube = value * value * value;
  return cube > EPSILON ? cube : (116 * value - 16) / KAPPA;
}

function fromLab(lightness: number, a: number, b: number, rgb: Uint8Array, at: number): void {
  const root = (lightness + 16) / 116;
  const x = cubeOf(root + a / 500) * WHITE[0];
  const y = cubeOf(root);
  const z = cubeOf(root - b / 200) * WHITE[2];
  rgb[at] = byteOf(3.240479 * x - 1.53715 * y - 0.498535 * z);
  rgb[at + 1] = byteOf(-0.969256 * x + 1.875991 * y + 0.041556 * z);
  rgb[at + 2] = byteOf(0.055648 * x - 0.204043 * y + 1.057311 * z);
}

/** Measures a picture in rgb24. */
export function labStats(rgb: Uint8Array): LabStats {
  const lab = new Float64Array(3);
  const [sums, squares] = [new Float64Array(3), new Float64Array(3)];
  const pixels = rgb.length / 3;
  for (let at = 0; at < rgb.length; at += 3) {
    toLab(rgb, at, lab);
    for (let channel = 0; channel < 3; channel += 1) {
      const value = lab[channel] as number;
      sums[channel] = (sums[channel] as number) + value;
      squares[channel] = (squares[channel] as number) + value * value;
    }
  }
  const mean = (channel: number) => (sums[channel] as number) / pixels;
  const deviation = (channel: number) =>
    Math.sqrt(Math.max(0, (squares[channel] as number) / pixels - mean(channel) ** 2));
  return { mean: [mean(0), mean(1), mean(2)], deviation: [deviation(0), deviation(1), deviation(2)] };
}

/** Changes a picture in rgb24 in place. */
export function changeLab(rgb: Uint8Array, { from, ratio, to }: LabChange): void {
  const lab = new Float64Array(3);
  const changed = (channel: 0 | 1 | 2) => ((lab[channel] as number) - from[channel]) * ratio[channel] + to[channel];
  for (let at = 0; at < rgb.length; at += 3) {
    toLab(rgb, at, lab);
    fromLab(changed(0), changed(1), changed(2), rgb, at);
  }
}
