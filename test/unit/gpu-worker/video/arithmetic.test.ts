import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  FramesError,
  placeParts,
  resampledFrames,
  spreadFrames,
} from "../../../../src/gpu-worker/video/frames/arithmetic.ts";

const lengths = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 12 });
const parts = lengths.chain((each) =>
  fc.record({
    lengths: fc.constant(each),
    overlaps: fc.tuple(
      ...each.slice(1).map((length, index) => fc.integer({ min: 0, max: Math.min(length, each[index] ?? 0) })),
    ),
  }),
);

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

describe("placing the parts of a stitched video", () => {
  it("gives exactly the frames of all parts less the overlaps", () => {
    fc.assert(
      fc.property(parts, ({ lengths: each, overlaps }) => {
        expect(placeParts(each, overlaps).at(-1)?.end).toBe(sum(each) - sum(overlaps));
      }),
    );
  });

  it("leaves no gap, and lets each part begin where the cross-fade with the one before begins", () => {
    fc.assert(
      fc.property(parts, ({ lengths: each, overlaps }) => {
        const placements = placeParts(each, overlaps);
        for (const [index, { start, end, fade }] of placements.entries()) {
          expect(end - start).toBe(each[index]);
          const before = placements[index - 1];
          expect([start, fade]).toEqual(
            before ? [before.end - (overlaps[index - 1] ?? 0), overlaps[index - 1]] : [0, 0],
          );
        }
      }),
    );
  });

  it("refuses an overlap longer than a neighbour, a part without frames, and overlaps that do not fit the parts", () => {
    expect(() => placeParts([10, 4], [5])).toThrow("the overlap before part 1 is 5 frames: expected 0 to 4");
    expect(() => placeParts([10, 0], [0])).toThrow("part 1 has 0 frames");
    expect(() => placeParts([10, 10], [])).toThrow("2 parts have 0 overlaps");
    expect(() => placeParts([], [])).toThrow(FramesError);
  });
});

describe("choosing frames for another rate or length", () => {
  const frames = fc.integer({ min: 1, max: 500 });
  const rate = fc.constantFrom(8, 15, 16, 23.98, 24_000 / 1_001, 24, 25, 29.97, 30, 59.94, 60, 120);

  it("keeps the duration, and the order", () => {
    fc.assert(
      fc.property(frames, rate, rate, (count, from, to) => {
        const chosen = resampledFrames(count, from, to);
        expect(chosen).toHaveLength(Math.max(1, Math.round((count * to) / from)));
        expect(chosen).toEqual(chosen.toSorted((a, b) => a - b));
        expect(chosen.every((index) => index >= 0 && index < count)).toBe(true);
      }),
    );
  });

  it("repeats every frame when the rate doubles, takes every other when it halves, and all when it stays", () => {
    expect(resampledFrames(3, 12, 24)).toEqual([0, 0, 1, 1, 2, 2]);
    expect(resampledFrames(6, 24, 12)).toEqual([1, 3, 5]);
    fc.assert(
      fc.property(frames, rate, (count, each) => {
        expect(resampledFrames(count, each, each)).toEqual(Array.from({ length: count }, (_, index) => index));
      }),
    );
  });

  it("spreads any number of frames from the first to the last", () => {
    fc.assert(
      fc.property(frames, fc.integer({ min: 2, max: 500 }), (count, wanted) => {
        const chosen = spreadFrames(count, wanted);
        expect([chosen.length, chosen[0], chosen.at(-1)]).toEqual([wanted, 0, count - 1]);
      }),
    );
    expect(spreadFrames(9, 1)).toEqual([0]);
  });
});
