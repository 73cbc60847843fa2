import { describe, expect, it } from "vitest";
import { formatDuration, parseDurationSec } from "../../../src/client/render/durations.ts";

describe("durations", () => {
  it.each([
    ["90s", 90],
    ["30m", 1800],
    ["2h", 7200],
    ["1h30m", 5400],
    ["7d", 604_800],
  ])("reads %s as %i seconds", (text, sec) => {
    expect(parseDurationSec(text)).toBe(sec);
  });

  it.each(["", "30", "m", "5 m", "-5m", "1.5h", "10min", "0s", "5m!"])(
    "refuses %j and names what is expected",
    (text) => {
      expect(() => parseDurationSec(text)).toThrow(/expected a duration/);
    },
  );

  it.each([
    [-5000, "0s"],
    [59_999, "59s"],
    [185_000, "3m05s"],
    [7_800_000, "2h10m"],
    [356_400_000, "4d03h"],
  ])("shows %i ms as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
