import { describe, expect, it } from "vitest";
import { gpuCosts } from "../../../../src/policy/latency/gpu-cost.ts";
import type { MeasuredSpeed } from "../../../../src/policy/latency/measured.ts";

function speed(gpuType: string, taskType: string, samples: number, meanSec: number): MeasuredSpeed {
  return { gpuType, taskType, model: null, samples, meanSec };
}

describe("what a task costs on a GPU type", () => {
  it("is its price times how long tasks take there, relative to the others", () => {
    const costs = gpuCosts([speed("slow", "video", 50, 300), speed("fast", "video", 50, 100)]);
    expect(costs.comparedUsd("slow", 0.4)).toBeCloseTo(0.6, 9);
    expect(costs.comparedUsd("fast", 0.8)).toBeCloseTo(0.4, 9);
    expect(costs.usdPerTask("slow", 0.4)).toBeCloseTo((0.4 * 300) / 3600, 9);
    expect(costs.usdPerTask("fast", 0.8)).toBeCloseTo((0.8 * 100) / 3600, 9);
  });

  it("compares each kind of task with itself, so long tasks do not make a GPU type slow", () => {
    const costs = gpuCosts([speed("a", "long", 40, 900), speed("a", "short", 40, 10), speed("b", "short", 40, 10)]);
    expect(costs.comparedUsd("a", 1)).toBeCloseTo(1, 9);
    expect(costs.comparedUsd("b", 1)).toBeCloseTo(1, 9);
  });

  it("is the price alone until twenty tasks were measured", () => {
    const costs = gpuCosts([speed("new", "video", 19, 900), speed("known", "video", 400, 100)]);
    expect(costs.comparedUsd("new", 0.5)).toBe(0.5);
    expect(costs.usdPerTask("new", 0.5)).toBeNull();
    expect(gpuCosts([]).comparedUsd("any", 0.5)).toBe(0.5);
  });

  it("is not known without a price, and takes no figure that cannot be", () => {
    const costs = gpuCosts([speed("a", "video", 40, 100), speed("a", "odd", 40, 0), speed("b", "odd", 40, Infinity)]);
    expect(costs.comparedUsd("a", null)).toBe(Infinity);
    expect(costs.usdPerTask("a", null)).toBeNull();
    expect(costs.comparedUsd("b", 0.5)).toBe(0.5);
    expect(costs.usdPerTask("a", 0.36)).toBeCloseTo(0.01, 9);
  });
});
