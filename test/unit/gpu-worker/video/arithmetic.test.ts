import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  FramesError,
  keptRanges,
  placeParts,
  resampledFrames,
  spreadFrames,
  stitchedLength,
} from "../../../../src/gpu-worker/video/frames/arithmetic.ts";
import { planJoin } from "../../../../src/gpu-worker/video/join.ts";

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
        expect(stitchedLength(each, overlaps)).toBe(sum(each) - sum(overlaps));
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

describe("keeping what is not taken out", () => {
  it("keeps and takes out together every frame once", () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 10 });
    fc.assert(
      fc.property(cuts, (points) => {
        const sorted = points.toSorted((a, b) => a - b);
        const removed = sorted.flatMap((start, index) => {
          const end = sorted[index + 1];
          return index % 2 === 0 && end !== undefined ? [{ start, end }] : [];
        });
        const kept = keptRanges(100, removed);
        const covered = [...kept, ...removed].toSorted((a, b) => a.start - b.start);
        expect(sum(covered.map(({ start, end }) => end - start))).toBe(100);
        expect(covered.every(({ start }, index) => start === (covered[index - 1]?.end ?? 0))).toBe(true);
      }),
    );
  });

  it("takes portions in any order, and refuses those that overlap or are not in the video", () => {
    const removed = [
      { start: 6, end: 8 },
      { start: 0, end: 2 },
    ];
    expect(keptRanges(10, removed)).toEqual([
      { start: 2, end: 6 },
      { start: 8, end: 10 },
    ]);
    expect(() => keptRanges(10, [...removed, { start: 1, end: 3 }])).toThrow("frames 1 to 3 overlap the range before");
    expect(() => keptRanges(10, [{ start: 8, end: 11 }])).toThrow("frames 8 to 11 are not in a video of 10 frames");
  });
});

describe("joining around a transition", () => {
  it("cross-fades the context that both neighbours have, and adds exactly the new frames", () => {
    const frames = fc.integer({ min: 0, max: 40 });
    fc.assert(
      fc.property(frames, frames, frames, frames, frames, (context, gap, before, after, cut) => {
        const seam = {
          before: before + context + cut + 1,
          transition: gap + 2 * context + 1,
          after: after + context + cut + 1,
          context,
          replaced: { before: cut, after: cut },
        };
        expect(planJoin(seam).frames).toBe(before + 1 + context + gap + 1 + context + after + 1);
      }),
    );
  });

  it("replaces frames of the clips when it shall", () => {
    const plan = planJoin({ before: 30, transition: 21, after: 30, context: 4, replaced: { before: 6, after: 7 } });
    expect(plan.ranges).toEqual([
      { start: 0, end: 24 },
      { start: 0, end: 21 },
      { start: 7, end: 30 },
    ]);
    expect(plan.frames).toBe(24 + 21 + 23 - 8);
  });

  it("refuses clips that are shorter than what the seam needs of them", () => {
    const seam = { before: 30, transition: 21, after: 30, context: 8, replaced: { before: 0, after: 0 } };
    expect(() => planJoin({ ...seam, before: 7 })).toThrow("the clip before has 7 frames: the seam needs 8");
    expect(() => planJoin({ ...seam, transition: 15 })).toThrow("the transition has 15 frames: the seam needs 16");
    expect(() => planJoin({ ...seam, after: 7 })).toThrow("the clip after has 7 frames: the seam needs 8");
  });
});
