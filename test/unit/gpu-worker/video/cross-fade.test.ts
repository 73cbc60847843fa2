import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCrossFade, fadeAlpha } from "../../../../src/gpu-worker/video/frames/cross-fade.ts";
import { type PixelFormat, frameBytes, planesOf } from "../../../../src/gpu-worker/video/frames/format.ts";

const size = { width: 26, height: 22 };

/** The definition, pixel by pixel: slow, and without any of the shortcuts. */
function defined(format: PixelFormat, a: Uint8Array, b: Uint8Array, alpha: number, sharpen: number): number[] {
  const out: number[] = [];
  for (const { offset, width, height, channels, step } of planesOf(format, size)) {
    const sigma = 3 / step;
    const reach = Math.round(3 * sigma);
    const base = (x: number, y: number, channel: number) => {
      const mirror = (at: number, length: number) => (at < 0 ? -at : at >= length ? 2 * length - 2 - at : at);
      const at = offset + (mirror(y, height) * width + mirror(x, width)) * channels + channel;
      return (1 - alpha) * (a[at] as number) + alpha * (b[at] as number);
    };
    const weight = (x: number, y: number) => Math.exp(-(x * x + y * y) / (2 * sigma * sigma));
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        for (let channel = 0; channel < channels; channel += 1) {
          let [sum, weights] = [0, 0];
          for (let dy = -reach; dy <= reach; dy += 1) {
            for (let dx = -reach; dx <= reach; dx += 1) {
              sum += base(x + dx, y + dy, channel) * weight(dx, dy);
              weights += weight(dx, dy);
            }
          }
          const amount = sharpen * alpha;
          const value = base(x, y, channel) * (1 + amount) - (sum / weights) * amount;
          out.push(Math.min(255, Math.max(0, value)));
        }
      }
    }
  }
  return out;
}

describe("the cross-fade", () => {
  it.each(["rgb24", "yuv420p"] as const)("is what its formula says, in %s", (format) => {
    const bytes = frameBytes(format, size);
    const frame = fc.uint8Array({ minLength: bytes, maxLength: bytes });
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(frame, frame, share, share, (first, second, alpha, sharpen) => {
        const expected = defined(format, first, second, alpha, sharpen);
        const faded = Uint8Array.from(first);
        createCrossFade(format, size, sharpen)(faded, second, alpha);
        const worst = Math.max(...expected.map((value, at) => Math.abs(value - (faded[at] as number))));
        // A half is what rounding to 8 bits may do.
        expect(worst).toBeLessThanOrEqual(0.52);
      }),
      { numRuns: 8 },
    );
  });

  it("rises as half a cosine and ends with the later part alone", () => {
    expect(fadeAlpha(7, 8)).toBe(1);
    expect(fadeAlpha(0, 1)).toBe(1);
    expect(fadeAlpha(3, 8)).toBeCloseTo(0.5, 12);
    expect(fadeAlpha(0, 4)).toBeCloseTo((1 - Math.SQRT1_2) / 2, 12);
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), (count) => {
        const alphas = Array.from({ length: count }, (_, index) => fadeAlpha(index, count));
        expect(alphas).toEqual(alphas.toSorted((a, b) => a - b));
        expect(alphas[0]).toBeGreaterThan(0);
      }),
    );
  });
});
