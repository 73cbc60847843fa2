import { describe, expect, it } from "vitest";
import { createIdlePace } from "../../../src/gpu-worker/idle-pace.ts";

const POLL_MS = 1_000;

/** The delay after a task of `taskSec` and a rest of `restSec`, as a multiple of WORKER_POLL_MS. */
function paceAfter(taskSec: number | null, restSec: number): number {
  let nowMs = 5_000;
  const pace = createIdlePace(POLL_MS, () => nowMs);
  if (taskSec !== null) {
    pace.taskBegins();
    nowMs += taskSec * 1_000;
    pace.taskEnds();
  }
  nowMs += restSec * 1_000;
  return Math.round(pace.delayMs() / POLL_MS);
}

describe("an idle worker", () => {
  it("asks a third as often once it has rested, so that short tasks go to those that had one just now", () => {
    expect([0, 5, 14.9, 15, 600].map((restSec) => paceAfter(5, restSec))).toEqual([1, 1, 1, 3, 3]);
  });

  it("asks as often as ever after a long task, and before its first one", () => {
    expect([paceAfter(15, 600), paceAfter(180, 60), paceAfter(null, 600)]).toEqual([1, 1, 1]);
  });

  it("asks at full pace again after its next task", () => {
    let nowMs = 0;
    const pace = createIdlePace(POLL_MS, () => nowMs);
    for (const [restMs, factor] of [
      [20_000, 3],
      [1_000, 1],
    ] as const) {
      pace.taskBegins();
      nowMs += 2_000;
      pace.taskEnds();
      nowMs += restMs;
      expect(Math.round(pace.delayMs() / POLL_MS)).toBe(factor);
    }
  });

  it("never asks in step with others", () => {
    const pace = createIdlePace(POLL_MS, () => 0);
    const delays = Array.from({ length: 50 }, () => pace.delayMs());
    expect(new Set(delays).size).toBeGreaterThan(40);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(900);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_100);
  });
});
