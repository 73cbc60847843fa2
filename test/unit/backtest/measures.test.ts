import { describe, expect, it } from "vitest";
import { Measures } from "../../../src/backtest/measures.ts";
import { createRandom } from "../../../src/backtest/random.ts";
import {
  arrivalsPerSecOf,
  bootSecOf,
  quantile,
  quantilesSecOf,
  rateWindowSec,
} from "../../../src/policy/latency/samples.ts";

const random = createRandom(1);
function drawn(count: number): number[] {
  return Array.from({ length: count }, () => 10 + 300 * random.uniform());
}

describe("a simulated pool measures itself as the database does", () => {
  it("keeps the last 400 service times of each type, and the last 20 boots", () => {
    const measures = new Measures();
    const [first, second, boots] = [drawn(1000), drawn(30), drawn(50)];
    first.forEach((sec) => measures.served("a", sec));
    second.forEach((sec) => measures.served("b", sec));
    boots.forEach((sec) => measures.booted(sec));
    const { services, bootSec } = measures.at(0, null, null);
    expect(bootSec).toBe(bootSecOf(boots));
    expect(services).toEqual([
      { taskType: "a", model: null, samples: 400, quantilesSec: quantilesSecOf(first) },
      { taskType: "b", model: null, samples: 30, quantilesSec: quantilesSecOf(second) },
    ]);
  });

  it("lets arrivals decay over the same window", () => {
    const measures = new Measures();
    const services = Array.from({ length: 400 }, () => 500);
    services.forEach((sec) => measures.served("a", sec));
    measures.booted(100);
    const atMs = drawn(300)
      .map((sec) => Math.round(sec * 10_000))
      .toSorted((a, b) => a - b);
    atMs.forEach((at) => measures.arrived("a", at));
    const nowMs = 3_300_000;
    const ages = atMs.map((at) => (nowMs - at) / 1000);
    const { demand } = measures.at(nowMs, null, null);
    expect(demand).toMatchObject([{ taskType: "a", queued: 300 }]);
    const expected = arrivalsPerSecOf(ages, rateWindowSec(500, 100));
    expect(Math.abs((demand[0]?.arrivalsPerSec ?? 0) / expected - 1)).toBeLessThan(0.01);
  });

  it("says how long tasks waited once twenty have started, if the pool has a target", () => {
    const measures = new Measures();
    const waits = drawn(500);
    waits.slice(0, 19).forEach((sec) => measures.started("a", sec));
    expect(measures.at(0, null, 95).waited).toBeNull();
    waits.slice(19).forEach((sec) => measures.started("a", sec));
    const sec = quantile(
      waits.slice(-400).toSorted((a, b) => a - b),
      0.95,
    );
    expect(measures.at(0, 3, 95)).toMatchObject({ waited: { starts: 400, sec }, waitValue: 3 });
    expect(measures.at(0, null, null).waited).toBeNull();
  });
});
