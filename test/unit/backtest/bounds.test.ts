import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Arrival, inOrder } from "../../../src/backtest/arrivals.ts";
import { boundsOf } from "../../../src/backtest/bounds.ts";

function tasks(...given: readonly (readonly [atSec: number, seconds: number])[]): Arrival[] {
  return given.map(([atSec, seconds]) => ({ atMs: atSec * 1000, seconds, type: "t" }));
}

/** Tries every way to give each task to a free worker or to a new one. */
function cheapest(arrivals: readonly Arrival[], bootSec: number, freeAt: readonly number[] = []): number {
  const [first, ...rest] = arrivals;
  if (first === undefined) {
    return 0;
  }
  const at = first.atMs / 1000;
  const end = at + first.seconds;
  const anew = first.seconds + bootSec + cheapest(rest, bootSec, [...freeAt, end]);
  const again = freeAt.flatMap((free, worker) =>
    free > at ? [] : [first.seconds + Math.min(at - free, bootSec) + cheapest(rest, bootSec, freeAt.with(worker, end))],
  );
  return Math.min(anew, ...again);
}

describe("the bounds of a backtest", () => {
  it("count one boot and all work as the floor", () => {
    expect(boundsOf(tasks([0, 30], [5, 10]), 100).floorSec).toBe(140);
    expect(boundsOf([], 100)).toEqual({ floorSec: 0, noWaitSec: 0 });
  });

  it("keep a worker through a rest that is shorter than a boot, and boot another else", () => {
    expect(boundsOf(tasks([0, 30], [50, 10]), 100).noWaitSec).toBe(30 + 10 + 100 + 20);
    expect(boundsOf(tasks([0, 30], [500, 10]), 100).noWaitSec).toBe(30 + 10 + 200);
    expect(boundsOf(tasks([0, 30], [29, 10]), 100).noWaitSec).toBe(30 + 10 + 200);
    expect(boundsOf(tasks([0, 30], [30, 10]), 100).noWaitSec).toBe(30 + 10 + 100);
  });

  it("are the least of all ways to give tasks to workers without a wait", () => {
    const anyTask = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 20 }));
    fc.assert(
      fc.property(fc.array(anyTask, { maxLength: 7 }), fc.integer({ min: 1, max: 30 }), (given, bootSec) => {
        const arrivals = inOrder(tasks(...given));
        expect(boundsOf(arrivals, bootSec).noWaitSec).toBe(cheapest(arrivals, bootSec));
      }),
      { numRuns: 200 },
    );
  });
});
