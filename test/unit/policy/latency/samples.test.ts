import { describe, expect, it } from "vitest";
import {
  arrivalsPerSecOf,
  bootSecOf,
  quantile,
  quantilesSecOf,
  rateWindowSec,
} from "../../../../src/policy/latency/samples.ts";

describe("figures from samples", () => {
  it("take the median of the last twenty boots", () => {
    expect(bootSecOf([])).toBeNull();
    expect(bootSecOf([90])).toBe(90);
    expect(bootSecOf([1000, ...Array.from({ length: 20 }, (_, n) => 100 + n)])).toBe(109.5);
  });

  it("interpolate quantiles between neighbours", () => {
    expect(quantile([10, 20, 30, 40], 0.5)).toBe(25);
    expect(quantile([10, 20, 30, 40], 0.95)).toBeCloseTo(38.5, 9);
    expect(quantile([], 0.5)).toBeNull();
  });

  it("take 21 quantiles of the last 400 service times, in whatever order they came", () => {
    const quantiles = quantilesSecOf([9999, ...Array.from({ length: 400 }, (_, n) => (n * 7) % 400)]);
    expect(quantiles).toHaveLength(21);
    expect(quantiles.map((sec) => Math.round(sec))).toEqual(
      Array.from({ length: 21 }, (_, n) => Math.round(19.95 * n)),
    );
    expect(quantilesSecOf([])).toEqual([]);
  });

  it("weigh arrivals by their age, and forget those of more than six windows ago", () => {
    expect(rateWindowSec(184, 120)).toBe(360);
    expect(rateWindowSec(500, 120)).toBe(500);
    // One each ten seconds, for long: 0.1 a second.
    expect(
      arrivalsPerSecOf(
        Array.from({ length: 1000 }, (_, n) => 10 * n + 5),
        360,
      ),
    ).toBeCloseTo(0.1, 3);
    expect(arrivalsPerSecOf([6 * 360, -1], 360)).toBe(0);
  });
});
