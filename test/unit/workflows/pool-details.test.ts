import { describe, expect, it } from "vitest";
import { describePool } from "../../../src/workflows/pool/details.ts";
import { outcomesOf, taken, withRecent } from "../../../src/workflows/pool/recent.ts";
import type { PoolStatus } from "../../../src/contract/pool-api.ts";
import type { Snapshot } from "../../../src/contract/plan.ts";

const snapshot: Snapshot = {
  observedAt: "2026-01-01T12:00:00.000Z",
  intent: { mode: "normal", hold: null, holdUntilMs: null, version: 1 },
  desired: 3,
  queued: 7,
  spawning: 2,
  idle: 0,
  busy: 1,
  terminating: 4,
  failing: 5,
  costPerHourUsd: 2.07,
  spend: { hourlyUsd: 2.07, todayUsd: 1 },
  breaker: "closed",
  schedule: null,
  suspended: null,
  rule: "threshold",
  reason: "7 queued / threshold 3 → 3 wanted, 1 present → spawn 2",
};

function status(seen: Snapshot | null): PoolStatus {
  const intent = seen?.intent ?? null;
  return { pool: "main", phase: "watching", intent, snapshot: seen, lastDecision: null, watches: 6, messages: 2 };
}

describe("the current details of a pool", () => {
  it("tell its size with the rule, its queue, its cost and the sentence, without a table", () => {
    const text = describePool(status(snapshot));
    expect(text).toContain("### Pool main: normal\n");
    expect(text).toContain(
      "- **Size:** 3 desired by threshold; 2 spawning, 0 idle, 1 busy, 4 terminating, 5 in error\n- **Queue:** 7 open\n- **Cost:** $2.07 an hour\n",
    );
    expect(text).toContain("**Now:** 7 queued / threshold 3 → 3 wanted, 1 present → spawn 2");
    expect(text).toContain("Observed 2026-01-01T12:00:00.000Z; 6 watches, 2 messages.");
    expect(text).not.toContain("|");
  });

  it("name a hold with its end, an open breaker, suspended verdicts and a schedule", () => {
    const intent = { mode: "normal", hold: 2, holdUntilMs: Date.parse("2026-01-01T13:00:00Z"), version: 2 } as const;
    const text = describePool(
      status({ ...snapshot, intent, breaker: "half_open", suspended: "3 of 4 are silent", schedule: "weekend" }),
    );
    expect(text).toContain("### Pool main: normal, held at 2 until 2026-01-01T13:00:00.000Z");
    expect(text).toContain("**Breaker half-open:**");
    expect(text).toContain("**Verdicts suspended:** 3 of 4 are silent");
    expect(text).toContain("**Schedule:** weekend");
  });

  it("say of a pool that was not observed yet nothing but that", () => {
    expect(describePool(status(null))).toBe("### Pool main\n\nNot observed yet.");
  });

  it("name the newest wish, also while the last observation is from before it", () => {
    const intent = { ...snapshot.intent, mode: "paused", version: 2 } as const;
    expect(describePool({ ...status(snapshot), intent })).toContain("### Pool main: paused\n");
    expect(describePool({ ...status(null), intent })).toBe("### Pool main: paused\n\nNot observed yet.");
  });

  it("list the last messages with what became of each, the senders' words as code", () => {
    const recent = [
      { at: "2026-01-01T11:59:58.000Z", kind: "Scale", became: "ignored", why: "![`x`](http://evil)\n# no" },
      { at: "2026-01-01T11:59:00.000Z", kind: "scale", became: "taken", why: "held at 2" },
    ] as const;
    const lines = [
      "**Last messages:**",
      "",
      "- 2026-01-01T11:59:58.000Z ignored: `Scale: !['x'](http://evil) # no`",
      "- 2026-01-01T11:59:00.000Z taken: `scale: held at 2`",
    ].join("\n");
    expect(describePool({ ...status(snapshot), recent })).toContain(`\n\n${lines}\n`);
    expect(describePool({ ...status(null), recent })).toContain(lines);
  });
});

describe("what became of a batch of signals", () => {
  it("is told in the order in which they came, what was folded first", () => {
    const batch = {
      last: 9,
      messages: [
        { place: 7, message: { kind: "scale", target: 2, forSec: 60 } as const },
        { place: 9, message: { kind: "pause" } as const },
      ],
      ignored: [{ place: 8, kind: "Scale", reason: "unknown signal" }],
      folded: { scale: 4 },
    };
    const told = outcomesOf(batch).map(({ kind, became, why }) => `${kind} ${became}: ${why}`);
    expect(told).toEqual([
      "scale folded: 4 more, too many to be written one by one",
      "scale taken: held at 2 for 60 s",
      "Scale ignored: unknown signal",
      "pause taken: pause",
    ]);
  });

  it("is kept for the last five, the newest first", () => {
    const each = (kind: string) => taken(kind, "");
    const recent = withRecent([each("3"), each("2"), each("1")], [each("4"), each("5"), each("6")]);
    expect(recent.map(({ kind }) => kind)).toEqual(["6", "5", "4", "3", "2"]);
  });
});
