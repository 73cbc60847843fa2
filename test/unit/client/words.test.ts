import { describe, expect, it } from "vitest";
import { lookOf } from "../../../src/client/render/freshness.ts";
import { describeIntent } from "../../../src/client/render/intent.ts";
import type { Intent } from "../../../src/contract/intent.ts";

const NOW = Date.parse("2026-01-01T12:00:00Z");

function intent(overrides: Partial<Intent> = {}): Intent {
  return { mode: "normal", hold: null, holdUntilMs: null, version: 1, ...overrides };
}

describe("the last look from a watch's heartbeats", () => {
  const watching = (data: string) => [
    { activityType: { name: "openPool" } },
    { activityType: { name: "watchPool" }, heartbeatDetails: { payloads: [{ data: Buffer.from(data) }] } },
  ];

  it("is the time of the last observation; null if it is unreadable or from an older version", () => {
    expect(lookOf(watching('{"observedAt":"2026-01-01T12:00:00.000Z"}'))).toEqual({
      observedAt: "2026-01-01T12:00:00.000Z",
    });
    expect(lookOf(watching('{"observedAt":null}'))).toEqual({ observedAt: null });
    for (const other of ["", "null", "{}", '{"observedAt":7}', "\u0001"]) {
      expect(lookOf(watching(other))).toBeNull();
    }
    expect(lookOf([{ activityType: { name: "watchPool" } }])).toBeNull();
    expect(lookOf([])).toBeNull();
  });
});

describe("an operator's intent, in words", () => {
  it.each([
    [intent(), "normal, the policy decides its size"],
    [intent({ hold: 3 }), "held at 3"],
    [intent({ hold: 3, holdUntilMs: NOW + 1_800_000 }), "held at 3 for another 30m00s"],
    [intent({ mode: "draining", hold: 2 }), "draining to zero, stays there until gpu-pool resume; then held at 2"],
    [intent({ mode: "paused" }), "paused, no scaling either way until gpu-pool resume"],
    [intent({ mode: "closing" }), "closing: draining to zero, then its workflow ends"],
  ])("%j is %s", (given, words) => {
    expect(describeIntent(given, NOW)).toBe(words);
  });
});
