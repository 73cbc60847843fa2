import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { interpolatePoses } from "../../../../src/gpu-worker/video/frames/poses.ts";

const coordinate = fc.double({ min: 0, max: 1_000, noNaN: true });
const point = fc.record({ x: coordinate, y: coordinate, confidence: fc.double({ min: 0.01, max: 1, noNaN: true }) });
const posePair = fc
  .integer({ min: 1, max: 20 })
  .chain((points) => fc.tuple(...[0, 1].map(() => fc.array(point, { minLength: points, maxLength: points }))));

describe("poses between two", () => {
  it("begin with the first, end with the last, and move at an even pace", () => {
    fc.assert(
      fc.property(posePair, fc.integer({ min: 2, max: 60 }), ([first = [], last = []], frames) => {
        const poses = interpolatePoses(first, last, frames);
        expect(poses).toHaveLength(frames);
        expect(poses[0]).toEqual(first);
        expect(poses.at(-1)).toEqual(last);
        for (const [frame, pose] of poses.entries()) {
          for (const [index, { x }] of pose.entries()) {
            const even =
              (first[index]?.x ?? 0) + ((last[index]?.x ?? 0) - (first[index]?.x ?? 0)) * (frame / (frames - 1));
            expect(Math.abs(x - even)).toBeLessThan(1e-6);
          }
        }
      }),
    );
  });

  it("leave a point where it is seen, while it appears or goes", () => {
    const gone = { x: 0, y: 0, confidence: 0 };
    const seen = { x: 40, y: 60, confidence: 0.8 };
    const poses = interpolatePoses([gone, seen], [seen, gone], 3);
    expect(poses[1]).toEqual([
      { x: 40, y: 60, confidence: 0.4 },
      { x: 40, y: 60, confidence: 0.4 },
    ]);
  });

  it("refuse different bodies and a movement of one frame", () => {
    expect(() => interpolatePoses([], [{ x: 1, y: 1, confidence: 1 }], 4)).toThrow(
      "a pose of 0 points cannot become one of 1",
    );
    expect(() => interpolatePoses([], [], 1)).toThrow("1 frames cannot lead from one pose to another");
  });
});
