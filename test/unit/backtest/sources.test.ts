import { describe, expect, it } from "vitest";
import { CsvReader } from "../../../src/backtest/csv.ts";
import { generate, LOAD } from "../../../src/backtest/generate.ts";

function read(text: string) {
  const reader = new CsvReader();
  text.split("\n").forEach((line) => reader.read(line));
  return reader.arrivals;
}

describe("a CSV of tasks", () => {
  const first = { atMs: Date.UTC(2026, 2, 1, 9, 30), seconds: 12.5, type: "video" };

  it.each([
    ["2026-03-01T09:30:00Z,12.5,video"],
    ["time,seconds,type\n2026-03-01 09:30,12.5,video"],
    ["\uFEFFType, Seconds ,user,Time\r\nvideo,12.5,u1,2026-03-01T10:30:00+01:00\r\n"],
    ["# exported\n\n1772357400,12.5,video"],
    ["2026-03-01 11:30:00.000000+02,12.5,video"],
    ["2026-03-01 04:00:00 -0530,12.5,video"],
    ['time,seconds,type\n"2026-03-01T09:30:00.000Z","12.5","video"'],
  ])("is read with or without a line of names: %j", (text) => {
    expect(read(text)).toEqual([first]);
  });

  it("may lack types, and may hold commas and quotes in quotes", () => {
    expect(read("10,1\n20,2,")).toMatchObject([{ type: "task" }, { type: "task", atMs: 20_000 }]);
    expect(read('10,1,"a, ""b"""')).toMatchObject([{ type: 'a, "b"' }]);
  });

  it.each([
    ["time,seconds\n10,1\nsoon,2", 'line 3: "soon" is no time'],
    ["10,1\n20,-2", 'line 2: a task takes "-2" seconds'],
    ["10,1\n20,", 'line 2: a task takes "" seconds'],
    ["10,1\n20,1e999", 'line 2: a task takes "1e999" seconds'],
    ["10,1\n20", "line 2: expected at least a time and seconds, found 1 column"],
    ["time,duration\n10,1", 'line 1: the first line names no column seconds: "time,duration"'],
    ["when,how long\n10,1", "line 1: a first line of names needs time and seconds"],
    ["10,1\n2026-03-01,2", 'line 2: the time "2026-03-01" is ISO 8601, but the lines before have seconds'],
    ["2026-02-31T00:00:00Z,1", 'line 1: "2026-02-31T00:00:00Z" is no time'],
    ["1772357400000,1", 'line 1: the time "1772357400000" is after the year 2100'],
    ['10,1,"a', "line 1: a quote does not fit"],
  ])("is refused with the line and what was expected: %j", (text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

describe("the generator", () => {
  const drawn = generate(LOAD);

  it("draws the same tasks for the same seed, and others for another", () => {
    expect(generate({ ...LOAD, days: 2 })).toEqual(generate({ ...LOAD, days: 2 }));
    expect(generate({ ...LOAD, days: 2, seed: 14 })).not.toEqual(generate({ ...LOAD, days: 2 }));
  });

  it("has the figures that its defaults are taken from, seed 13, within a fifth", () => {
    const times = drawn.map(({ atMs }) => atMs / 1000);
    const gaps = times.slice(1).map((at, place) => at - (times[place] ?? 0));
    const hours = Array.from({ length: 24 }, () => 0);
    drawn.forEach(({ atMs }) => {
      const hour = new Date(atMs).getUTCHours();
      hours[hour] = (hours[hour] ?? 0) + 1;
    });
    const seconds = drawn.map((each) => each.seconds).toSorted((a, b) => a - b);
    const near = (value: number, published: number) => expect(Math.abs(value / published - 1)).toBeLessThan(0.2);
    near(mean(gaps), 74.2);
    near(Math.sqrt(variance(gaps)) / mean(gaps), 12);
    near(Math.max(...hours) / mean(hours), 3.4);
    near(dispersion(times, 60), 3.8);
    near(dispersion(times, 600), 27);
    near(dispersion(times, 3600), 140);
    near(seconds[Math.floor(seconds.length / 2)] ?? 0, 8 * 23);
    near(seconds[Math.floor(seconds.length * 0.99)] ?? 0, 8 * 106);
  });
});

/** Variance of the counts in windows of time, divided by their mean: 1 for a Poisson process. */
function dispersion(times: readonly number[], windowSec: number): number {
  const from = times[0] ?? 0;
  const counts = Array.from({ length: Math.ceil(((times.at(-1) ?? 0) - from) / windowSec) + 1 }, () => 0);
  for (const at of times) {
    const window = Math.floor((at - from) / windowSec);
    counts[window] = (counts[window] ?? 0) + 1;
  }
  return variance(counts) / mean(counts);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return mean(values.map((value) => (value - middle) ** 2));
}
