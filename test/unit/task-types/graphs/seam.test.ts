import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gridOf } from "../../../../src/task-types/grid.ts";
import { isSeamProblem, planSeam, type SeamPlan } from "../../../../src/task-types/graphs/seam.ts";

const seam = fc.record({
  before: fc.integer({ min: 0, max: 200 }),
  after: fc.integer({ min: 0, max: 200 }),
  context: fc.integer({ min: 1, max: 20 }),
  gap: fc.integer({ min: 1, max: 120 }),
  replace: fc.boolean(),
});
const grid = gridOf("vace_14B");

function planned(given: Parameters<typeof planSeam>[0]): SeamPlan {
  const plan = planSeam(given, grid);
  if (isSeamProblem(plan)) {
    throw new Error(JSON.stringify(plan));
  }
  return plan;
}

describe("a seam between two clips", () => {
  it("gets exactly the new frames that were asked for, in a length that the model can make", () => {
    fc.assert(
      fc.property(seam, (given) => {
        const plan = planSeam(given, grid);
        if (isSeamProblem(plan)) {
          return;
        }
        const { frames, contextBefore, contextAfter, cutBefore, cutAfter } = plan;
        expect((frames - 1) % 4).toBe(0);
        expect(cutBefore + contextBefore + given.gap + contextAfter + cutAfter).toBe(frames);
        expect(cutBefore + cutAfter).toBeLessThan(5);
        expect(contextBefore).toBeLessThanOrEqual(given.before - plan.replacedBefore);
        expect(contextAfter).toBeLessThanOrEqual(given.after - plan.replacedAfter);
      }),
    );
  });

  it("loses no frame: the result has both clips and the gap, or as many as both where the gap replaces", () => {
    fc.assert(
      fc.property(seam, (given) => {
        const plan = planSeam(given, grid);
        if (isSeamProblem(plan)) {
          return;
        }
        expect(plan.total).toBe(given.before + given.after + (given.replace ? 0 : given.gap));
        expect(plan.replacedBefore + plan.replacedAfter).toBe(given.replace ? given.gap : 0);
      }),
    );
  });

  it("is refused only where the clips are too short for it, or where there is none", () => {
    fc.assert(
      fc.property(seam, (given) => {
        const plan = planSeam(given, grid);
        if (!isSeamProblem(plan)) {
          return;
        }
        const isShort = Math.min(given.before || 200, given.after || 200) <= (given.replace ? given.gap : 3);
        const isTight = given.before + given.after - (given.replace ? given.gap : 0) <= 2 * given.context + 3;
        expect(isShort || isTight || given.before + given.after === 0).toBe(true);
      }),
    );
  });

  it("of the usual numbers is 8 and 53 and 8 frames", () => {
    const usual = { before: 100, after: 100, context: 8, gap: 53, replace: false };
    expect(planned(usual)).toMatchObject({ frames: 69, contextBefore: 8, contextAfter: 8, total: 253 });
    expect(planned({ ...usual, gap: 50 })).toMatchObject({
      frames: 69,
      contextBefore: 10,
      contextAfter: 9,
      total: 250,
    });
    expect(planned({ ...usual, replace: true })).toMatchObject({ replacedBefore: 26, replacedAfter: 27, total: 200 });
  });

  it("at the edge of a video has context on one side, and what is too much is cut off at the edge", () => {
    const edge = { before: 0, after: 3, context: 8, gap: 3, replace: false };
    expect(planned(edge)).toMatchObject({
      frames: 9,
      contextBefore: 0,
      contextAfter: 3,
      cutBefore: 3,
      cutAfter: 0,
      total: 6,
    });
    expect(planned({ ...edge, before: 3, after: 0 })).toMatchObject({ cutBefore: 0, cutAfter: 3, total: 6 });
  });

  it("of clips that are too short says which gap fits", () => {
    const short = { before: 1, after: 1, context: 8, gap: 2, replace: false };
    expect(planSeam(short, grid)).toEqual({ wrong: "gap", expected: "3 beside clips of 1 and 1 frames" });
    expect(planSeam({ ...short, gap: 8 }, grid)).toMatchObject({ expected: "7 or 11 beside clips of 1 and 1 frames" });
    expect(planned({ ...short, gap: 7 })).toMatchObject({ frames: 9, total: 9 });
    expect(planSeam({ ...short, before: 10, replace: true }, grid)).toMatchObject({ wrong: "after" });
    expect(planSeam({ ...short, before: 0, after: 0 }, grid)).toMatchObject({ wrong: "clips" });
  });
});
