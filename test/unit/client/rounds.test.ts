import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { renderDryRun } from "../../../src/client/commands/see/decide.ts";
import type { DryRun } from "../../../src/client/commands/see/decide-read.ts";
import { renderExplanation, renderPlaces } from "../../../src/client/commands/see/explain.ts";
import { explanationOf } from "../../../src/client/commands/see/explain-read.ts";
import { createStyle, visibleWidth } from "../../../src/client/render/output.ts";
import { renderRound, roundOf } from "../../../src/client/render/round.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { settingsInForce } from "../../../src/config/settings-in-force.ts";
import type { CycleSummary } from "../../../src/contract/cycle-summary.ts";
import type { Explanation } from "../../../src/contract/explanations.ts";
import type { Snapshot } from "../../../src/contract/plan.ts";
import { explain } from "../../../src/contract/explanations.ts";
import { summariseCycle } from "../../../src/contract/cycle-summary.ts";

const bare = createStyle(false);
const schema = z.fromJSONSchema(
  JSON.parse(readFileSync(new URL("../../../docs/schemas/cycle.schema.json", import.meta.url), "utf8")) as never,
);

function snapshot(overrides: Partial<Snapshot> = {}): Snapshot {
  return {
    observedAt: "2026-01-01T12:00:00.000Z",
    intent: { mode: "normal", hold: null, holdUntilMs: null, version: 1 },
    desired: 3,
    queued: 7,
    spawning: 1,
    idle: 0,
    busy: 0,
    terminating: 2,
    failing: 0,
    costPerHourUsd: 0.69,
    spend: { hourlyUsd: 4.1, todayUsd: 12.3 },
    breaker: "closed",
    schedule: null,
    suspended: null,
    rule: "threshold",
    reason: "7 queued / threshold 3 → 3 wanted, 1 spawning counts → spawn 2",
    ...overrides,
  };
}

function drain(worker: string, reason: string) {
  return { kind: "signal", worker, signal: { name: "drain", order: { reason, onlyIdle: true } } } as const;
}

function plan(overrides: Partial<Snapshot> = {}) {
  const seen = snapshot(overrides);
  const { reason } = seen;
  const caps = { maxHourlySpendUsd: null, dailyBudgetUsd: null };
  const spawn = { kind: "spawn", count: 2, max: 10, intentVersion: 1, caps, reason } as const;
  const actions = [spawn, drain("main-11111111", "too old"), drain("main-22222222", "too old")];
  return { decisionId: "d-1", snapshot: seen, actions };
}

function round(overrides: Partial<Snapshot> = {}): CycleSummary {
  return summariseCycle("main", plan(overrides), ["main-33333333"]);
}

function explanation(overrides: Partial<Snapshot> = {}): Explanation {
  const explanation = explain(plan(overrides));
  if (explanation === null) {
    throw new Error("a plan with a snapshot has an explanation");
  }
  return explanation;
}

describe("a round", () => {
  it("is shown with its counts, its rule, its sentence and its actions", () => {
    expect(renderRound(round(), 120, bare)).toEqual([
      "pool main: normal, the policy decides its size",
      "size       3 desired; 1 spawning, 0 idle, 0 busy, 2 terminating, 0 in error",
      "queue      7 open",
      "cost       $0.69 an hour; the account $4.10 an hour, $12.30 today",
      "rule       threshold",
      "decision   7 queued / threshold 3 → 3 wanted, 1 spawning counts → spawn 2",
      "actions    spawn 2",
      "           drain 2: main-11111111, main-22222222 (too old)",
      "booked     main-33333333",
    ]);
  });

  it("shows the end of a hold, an open schedule window and suspended verdicts", () => {
    const intent = { mode: "normal", hold: 2, holdUntilMs: Date.parse("2026-01-01T12:30:00Z"), version: 2 } as const;
    const shown = round({ intent, schedule: "nights", suspended: "4 of 5 are silent" });
    expect(schema.safeParse(shown)).toMatchObject({ success: true });
    expect(shown).toMatchObject({ hold: 2, holdUntil: "2026-01-01T12:30:00.000Z", schedule: "nights" });
    const lines = renderRound(shown, 120, bare);
    expect(lines[0]).toBe("pool main: held at 2 for another 30m00s");
    expect(lines).toContain("schedule   nights");
    expect(lines).toContain("health     verdicts suspended: 4 of 5 are silent");
    const { holdUntil: _until, schedule: _schedule, suspended: _suspended, ...older } = shown;
    expect(schema.safeParse(older)).toMatchObject({ success: true });
    expect(renderRound(older, 120, bare)[0]).toBe("pool main: held at 2");
  });

  it("names the breaker when it is not closed, and says so when there is nothing to do", () => {
    const lines = renderRound({ ...round({ breaker: "half_open" }), actions: [], booked: [] }, 120, bare);
    expect(lines).toContain("breaker    half-open");
    expect(lines).toContain("actions    none");
    expect(lines.join("\n")).not.toContain("booked");
  });

  it("made from a controller's explanation equals the round itself, except for the booked workers", () => {
    expect(roundOf("main", explanation())).toEqual({ ...round(), booked: [] });
    expect(roundOf("main", { ...explanation(), inputs: null })).toBeNull();
  });

  it("matches its schema, which refuses other rules, sizes and kinds", () => {
    expect(schema.safeParse(round())).toMatchObject({ success: true });
    expect(schema.safeParse({ ...round(), hold: 2, breaker: "open" })).toMatchObject({ success: true });
    for (const wrong of [{ rule: "whim" }, { desired: -1 }, { booked: null }, { hold: 1.5 }]) {
      expect({ wrong, ...schema.safeParse({ ...round(), ...wrong }) }).toMatchObject({ wrong, success: false });
    }
    const { spend: _, ...lacking } = round();
    expect(schema.safeParse(lacking)).toMatchObject({ success: false });
  });
});

const NOW_MS = Date.parse("2026-01-01T12:00:03Z");

describe("an explanation", () => {
  it("begins with the state, then lists the decisions with their actions", () => {
    const answer = {
      pool: "main",
      now: explanation({ breaker: "open", schedule: "nights" }),
      decisions: [explanation()],
      failedBoots: [
        {
          worker: "main-33333333",
          at: "2026-01-01T11:59:00+00:00",
          stage: "installing",
          reason: 'no heartbeat 900 s after boot stage "installing"',
          lines: Array.from({ length: 12 }, (_, line) => `container: line ${line}\x1b[2J`),
        },
        { worker: "main-44444444", at: "2026-01-01T11:58:00Z", stage: null, reason: "refused", lines: [] },
      ],
      messages: [
        { at: "2026-01-01T11:57:03Z", kind: "ignored", reason: "Scale: no such message" },
        { at: "2026-01-01T11:00:03Z", kind: "scale", reason: "hold 2" },
      ],
      seen: { observedAt: "2026-01-01T12:00:00.000Z", ageMs: 3_000, isStale: false },
    };
    expect(renderExplanation(answer, NOW_MS, bare)).toEqual([
      "pool main at 2026-01-01T12:00:00Z: threshold: 7 queued / threshold 3 → 3 wanted, 1 spawning counts → spawn 2",
      "seen 3s ago",
      "breaker open",
      "schedule: nights",
      "",
      "last messages:",
      "  3m00s ago: ignored: Scale: no such message",
      "  1h00m ago: scale taken: hold 2",
      "",
      'main-33333333 failed at 2026-01-01T11:59:00Z in boot stage installing: no heartbeat 900 s after boot stage "installing"',
      ...Array.from({ length: 10 }, (_, line) => `    container: line ${line + 2}`),
      "",
      "main-44444444 failed at 2026-01-01T11:58:00Z: refused",
      "    the provider showed no log of its pod",
      "",
      "2026-01-01T12:00:00Z  threshold: 7 queued / threshold 3 → 3 wanted, 1 spawning counts → spawn 2",
      "                      spawn 2",
      "                      drain 2: main-11111111, main-22222222 (too old)",
    ]);
    const stale = { ...answer, seen: { ...answer.seen, ageMs: 125_000, isStale: true } };
    expect(renderExplanation(stale, NOW_MS, bare)[1]).toMatch(
      /^WARNING: not observed for 2m05s: the pool may have changed/,
    );
  });

  it("names the types that no worker can do while tasks of them wait", () => {
    const seen = { observedAt: "2026-01-01T12:00:00.000Z", ageMs: 3_000, isStale: false };
    const rest = { pool: "main", decisions: [], failedBoots: null, messages: null, seen };
    const now = explanation({ undone: ["comfy", "dp_final_gen"] });
    expect(renderExplanation({ ...rest, now }, NOW_MS, bare)).toContain(
      "no worker can do what waits of: comfy, dp_final_gen",
    );
    const none = renderExplanation({ ...rest, now: explanation() }, NOW_MS, bare);
    expect(none.join("\n")).not.toContain("no worker can do");
  });

  it("removes control characters from the database's texts", () => {
    const hostile = renderExplanation(
      {
        pool: "main",
        now: null,
        decisions: [explanation({ reason: "a\x1b[2Jb\nc" })],
        failedBoots: [],
        messages: null,
        seen: null,
      },
      NOW_MS,
      bare,
    );
    expect(hostile[0]).toBe("2026-01-01T12:00:00Z  threshold: ab c");
  });

  it("ends with the last places that were asked for a pod, if the database says them", () => {
    const place = { at: "2026-01-01T12:00:00.000Z", worker: "main-11111111", reason: "NVIDIA L40S, SECURE\x1b[2J" };
    expect(renderPlaces([place], bare)).toEqual([
      "",
      "where the last pods were asked for:",
      "2026-01-01T12:00:00Z  main-11111111: NVIDIA L40S, SECURE",
    ]);
    expect(renderPlaces([], bare)).toEqual([]);
    expect(renderPlaces(null, bare)).toEqual([]);
  });

  it("says if no decision was made yet", () => {
    const nothing = { pool: "main", now: null, decisions: [], failedBoots: null, messages: [], seen: null };
    expect(renderExplanation(nothing, NOW_MS, bare)).toEqual([
      "pool main has decided nothing yet that changes anything",
    ]);
  });
});

describe("a decision of the journal", () => {
  const { snapshot: seen, actions } = plan();
  const row = { at: "2026-01-01T12:00:00+00:00", reason: seen.reason, decision_id: "d-1" };

  it("is shown like a decision of the workflow", () => {
    const details = JSON.parse(
      JSON.stringify({ inputs: { ...seen, settings: { maxActiveGpus: 10 } }, actions }),
    ) as unknown;
    expect(explanationOf({ ...row, details })).toEqual(explanation());
  });

  it("has no rule if an older version wrote it, and no unknown action if a newer version wrote it", () => {
    const { rule: _, ...old } = seen;
    expect(explanationOf({ ...row, details: { inputs: old, actions } })).toEqual({
      ...explanation(),
      rule: null,
      inputs: null,
    });
    const newer = {
      inputs: seen,
      actions: [{ kind: "teleport" }, { kind: "signal", worker: "x", signal: { name: "sing" } }],
    };
    expect(explanationOf({ ...row, details: newer })).toMatchObject({ rule: "threshold", actions: [] });
    expect(explanationOf({ ...row, details: null })).toMatchObject({ rule: null, inputs: null, actions: [] });
  });
});

describe("a dry run", () => {
  const env = { MAX_HOURLY_SPEND_USD: "5", BUDGET_HARD: "true" };
  const run = (overrides: Partial<DryRun> = {}): DryRun => ({
    round: { ...round(), booked: [] },
    settings: settingsInForce(loadConfig(env, { need: [] }), {}, { maxActiveGpus: 4 }),
    own: ["maxActiveGpus"],
    provider: "3 pods in the account",
    breakerChange: null,
    warnings: [],
    ...overrides,
  });

  it("shows the round, its settings and its grounds, and that nothing was changed", () => {
    const lines = renderDryRun(run(), 120, bare);
    expect(lines.slice(0, 8)).toEqual(renderRound(run().round, 120, bare));
    expect(lines.slice(8)).toEqual([
      "settings   threshold, MIN 2, MAX 4; the pool's own: maxActiveGpus",
      "budget     $5 an hour, hard",
      "provider   3 pods in the account",
      "",
      "nothing was changed",
    ]);
  });

  it("shows changes of the breaker, the reason for held back verdicts, and warnings, within the width", () => {
    const lines = renderDryRun(
      run({
        breakerChange: { state: "half_open", reason: "5 minutes have passed" },
        round: { ...round({ schedule: "nights", suspended: "4 of 5 workers are silent" }), booked: [] },
        warnings: [
          { worker: "main-11111111", kind: "worker.vram_stale", reason: "its VRAM figures are 9 minutes old" },
        ],
      }),
      60,
      bare,
    );
    expect(lines).toContain("breaker    half-open: 5 minutes have passed");
    expect(lines).toContain("schedule   nights");
    expect(lines).toContain("health     verdicts suspended: 4 of 5 workers are silent");
    expect(lines.find((line) => line.startsWith("warning"))).toMatch(/^warning {4}main-11111111: its VRAM/);
    expect(Math.max(...lines.map(visibleWidth))).toBeLessThanOrEqual(60);
  });
});
