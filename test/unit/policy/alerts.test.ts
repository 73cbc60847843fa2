import { describe, expect, it } from "vitest";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import { decide } from "../../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import { busy, idle, NOW, observe, SEC, SETTINGS, spend, task, times } from "../../kit/policy.ts";

function conditions(
  fleet: readonly ObservedWorker[],
  overrides: Partial<Observation> = {},
  settings: Partial<PolicySettings> = {},
): Record<string, string> {
  const { conditions } = decide({ ...SETTINGS, ...settings }, observe(fleet, overrides));
  return Object.fromEntries(conditions.map(({ kind, message }) => [kind, message]));
}

describe("the conditions of an observation", () => {
  it("are none for a pool that does well", () => {
    const well = { queued: 3, waitingSinceMs: NOW - 60 * SEC, ...spend({ hourlyUsd: 1 }) };
    expect(conditions([idle(), busy()], well, { maxHourlySpendUsd: 10, dailyBudgetUsd: 100 })).toEqual({});
  });

  it("name workers that are not heard, and say whether the pool ends them", () => {
    const stale = idle({ id: "stale", heartbeatMs: NOW - 301 * SEC });
    expect(conditions([stale, ...times(3, idle)])).toEqual({
      workers_stale: "stale: no heartbeat for GPU_IDLE_TIMEOUT_SEC 300; the pool ends what does not recover",
    });
    const all = conditions(times(7, () => idle({ heartbeatMs: NOW - 301 * SEC })));
    expect(all["workers_stale"]).toMatch(/ and 2 more: no heartbeat .* held back: 7 of 7 active workers fell silent/);
  });

  it("name tasks without progress by their own limit", () => {
    const slow = task({ id: "slow", progressMs: NOW - 601 * SEC });
    const patient = task({ id: "patient", progressMs: NOW - 601 * SEC, stuckTimeoutSec: 3600 });
    expect(conditions([busy({ id: "w", task: slow }), busy({ task: patient }), ...times(3, idle)])).toEqual({
      task_stuck: "no progress: task slow on w (limit 600 s); the pool ends what does not recover",
    });
  });

  it("have a task that waits for longer than QUEUE_WAIT_ALERT_MINUTES, as long as any waits", () => {
    const waiting = { queued: 5, waitingSinceMs: NOW - 3600 * SEC };
    const { queue_waiting: message } = conditions([], waiting);
    expect(message).toMatch(/^a task waits for a worker since \S+Z \(QUEUE_WAIT_ALERT_MINUTES 60\)$/);
    expect(conditions([], waiting, { queueWaitAlertMinutes: 61 })).toEqual({});
    expect(conditions([], { ...waiting, queued: 0 })).toEqual({});
  });

  it("have a daily budget that is near its end from four fifths on, until it is spent", () => {
    const at = (todayUsd: number) => Object.keys(conditions([], spend({ todayUsd }), { dailyBudgetUsd: 20 }));
    expect([15.9, 16, 19.9, 20].map(at)).toEqual([[], ["budget_near"], ["budget_near"], ["budget_reached"]]);
    expect(conditions([], spend({ todayUsd: 16 }), { dailyBudgetUsd: 20 })).toEqual({
      budget_near: "80 % of DAILY_BUDGET_USD 20 is spent today",
    });
    expect(conditions([], { spend: null }, { dailyBudgetUsd: 20 })).toEqual({});
  });

  it("have a spent daily budget always, and an hourly cap where it holds the pool back", () => {
    expect(conditions([], spend({ todayUsd: 20 }), { dailyBudgetUsd: 20 })).toEqual({
      budget_reached: "DAILY_BUDGET_USD 20 is spent",
    });
    const full = spend({ hourlyUsd: 1.8 });
    expect(conditions([], { queued: 30, ...full }, { maxHourlySpendUsd: 2 })).toEqual({
      budget_reached: "MAX_HOURLY_SPEND_USD 2 leaves no room for another worker at $0.50 an hour",
    });
    expect(conditions([], full, { maxHourlySpendUsd: 2 })).toEqual({});
    expect(conditions([], { queued: 30, spend: null }, { maxHourlySpendUsd: 2 })).toEqual({});
  });
});
