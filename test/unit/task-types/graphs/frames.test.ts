import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gridOf } from "../../../../src/task-types/grid.ts";
import { planFrames } from "../../../../src/task-types/graphs/frames.ts";

const grid = fc.constantFrom(gridOf("vace_14B"), gridOf("ltxv_13B"));
const asked = fc
  .array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 12 })
  .chain((lengths) =>
    fc.tuple(
      fc.constant(lengths),
      fc.array(fc.integer({ min: 0, max: 300 }), { minLength: lengths.length - 1, maxLength: lengths.length - 1 }),
    ),
  );

function sum(values: readonly number[]) {
  return values.reduce((total, each) => total + each, 0);
}

describe("the frames of a travel", () => {
  it("are what the model can make, with even overlaps that no neighbour is too short for", () => {
    fc.assert(
      fc.property(asked, grid, ([lengths, overlaps], model) => {
        const plan = planFrames(lengths, overlaps, model);
        for (const [index, length] of plan.lengths.entries()) {
          expect((length - 1) % model.frameStep).toBe(0);
          expect(length).toBeGreaterThan(model.frameStep);
          expect(length).toBeLessThanOrEqual(Math.max(lengths[index]!, model.frameStep + 1));
          expect(lengths[index]! - length).toBeLessThan(model.frameStep);
        }
        for (const [index, overlap] of plan.overlaps.entries()) {
          expect(overlap % 2).toBe(0);
          expect(overlap).toBeLessThanOrEqual(Math.min(plan.lengths[index]!, plan.lengths[index + 1]!));
          expect(overlap).toBeLessThanOrEqual(overlaps[index]!);
        }
      }),
    );
  });

  it("add up to the lengths without the overlaps, and each segment adds at least one", () => {
    fc.assert(
      fc.property(asked, grid, ([lengths, overlaps], model) => {
        const plan = planFrames(lengths, overlaps, model);
        expect(plan.frames).toBe(sum(plan.lengths) - sum(plan.overlaps));
        expect(plan.frames).toBeGreaterThanOrEqual(plan.lengths.length);
      }),
    );
  });

  it("stay as they are when they are planned again, and every change is named", () => {
    fc.assert(
      fc.property(asked, grid, ([lengths, overlaps], model) => {
        const plan = planFrames(lengths, overlaps, model);
        const again = planFrames(plan.lengths, plan.overlaps, model);
        expect(again).toEqual({ ...plan, adjustments: [] });
        const changed = [...lengths, ...overlaps].filter(
          (each, index) => each !== [...plan.lengths, ...plan.overlaps][index],
        );
        expect(plan.adjustments).toHaveLength(changed.length);
      }),
    );
  });

  it("lose none where an overlap is not a multiple of the model's step", () => {
    expect(planFrames([81, 81], [10], gridOf("vace_14B"))).toMatchObject({
      lengths: [81, 81],
      overlaps: [10],
      frames: 152,
    });
    expect(planFrames([84, 84], [10], gridOf("vace_14B"))).toMatchObject({ lengths: [81, 81], frames: 152 });
    expect(planFrames([9, 81], [31], gridOf("vace_14B"))).toMatchObject({ overlaps: [8], frames: 82 });
  });
});
