import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Action } from "../../../src/contract/plan.ts";
import { decide, type Decision } from "../../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import { settingsAt } from "../../../src/policy/schedule.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import { anyObservation, anySettings, drainsOf, NOW, SEC, spawnOf, signalled, undisturbed } from "../../kit/policy.ts";

function always(check: (settings: PolicySettings, observation: Observation) => void): void {
  fc.assert(fc.property(anySettings, anyObservation, check), { numRuns: 500 });
}

function normally(observation: Observation): Observation {
  return {
    ...observation,
    intent: { ...observation.intent, mode: "normal", hold: null },
  };
}

function spawned(actions: readonly Action[]) {
  return spawnOf(actions)?.count ?? 0;
}
function isOrdered({ signal, signalMs }: ObservedWorker) {
  return ["drain", "fail", "terminate"].includes(signal ?? "") && NOW - (signalMs ?? 0) < 30 * SEC;
}

/** Busy workers that drain without a deadline, because a cap was exceeded. */
function isDrainingWithoutDeadline(worker: ObservedWorker) {
  return (
    worker.origin === "pool" &&
    worker.status === "terminating" &&
    worker.task !== null &&
    worker.drainsWithoutDeadline &&
    !isOrdered(worker)
  );
}
function draining({ fleet }: Observation) {
  return fleet.filter(isDrainingWithoutDeadline).map(({ id }) => id);
}

/** The pool's own workers, spawning or active, without those that this decision or an earlier one ordered to leave. */
function remaining({ fleet }: Observation, actions: readonly Action[]): ObservedWorker[] {
  const ended = new Set(["fail", "drain", "terminate"].flatMap((name) => signalled(actions, name)));
  return fleet
    .filter(({ status, origin }) => origin === "pool" && (status === "spawning" || status === "active"))
    .filter((worker) => !ended.has(worker.id) && !isOrdered(worker));
}

/** The most that a reservation would book: a worker that was ordered to leave counts until its row shows it. */
function roomUnder(max: number, { fleet }: Observation): number {
  const booked = fleet.filter(
    ({ origin, status }) => origin === "pool" && (status === "spawning" || status === "active"),
  );
  return Math.max(0, max - booked.length);
}

describe("for every observation, a decision", () => {
  it("never lets spawning take the present fleet above the MAX in force", () => {
    always((settings, observation) => {
      const { actions, snapshot } = decide(settings, observation);
      const max = settingsAt(settings, NOW).settings.maxActiveGpus;
      const spawn = spawnOf(actions);
      if (spawn === undefined) {
        return;
      }
      expect(remaining(observation, actions).length + spawn.count).toBeLessThanOrEqual(max);
      expect(snapshot.spawning + snapshot.idle + snapshot.busy + spawn.count).toBeLessThanOrEqual(max);
      expect(spawn.count).toBeGreaterThan(0);
      expect(Number.isSafeInteger(spawn.count)).toBe(true);
      expect(spawn.max).toBe(max);
    });
  });

  it("wants no more than the MAX in force; only a pause keeps workers above it", () => {
    always((settings, observation) => {
      const { snapshot } = decide(settings, observation);
      const { spawning, idle, busy, intent, desired } = snapshot;
      const max = settingsAt(settings, NOW).settings.maxActiveGpus;
      expect(desired).toBeLessThanOrEqual(intent.mode === "paused" ? spawning + idle + busy : max);
    });
  });

  it("brings the pool to the MIN in force and keeps that many ready workers, if no cap is reached", () => {
    const reached = { caps: 0, raised: 0 };
    always((drawn, seen) => {
      const [unscheduled, observation] = undisturbed(drawn, seen);
      const settings = { ...unscheduled, schedules: drawn.schedules };
      const { minActiveGpus: min, maxActiveGpus: max } = settingsAt(settings, NOW).settings;
      reached.caps += Number(settings.maxHourlySpendUsd !== undefined || settings.dailyBudgetUsd !== undefined);
      reached.raised += Number(min > settings.minActiveGpus);
      const { actions, snapshot } = decide(settings, observation);
      const present = snapshot.spawning + snapshot.idle + snapshot.busy;
      expect(present + spawned(actions) >= min || spawned(actions) === roomUnder(max, observation)).toBe(true);
      const drained = signalled(actions, "drain").length;
      expect(drained === 0 || snapshot.idle + snapshot.busy - drained >= min).toBe(true);
    });
    expect(Math.min(reached.caps, reached.raised)).toBeGreaterThan(20);
  });

  it("ends a busy worker only for its health or BUDGET_HARD; any other busy worker may finish its task", () => {
    always((settings, seen) => {
      const observation = normally(seen);
      const { actions } = decide(settings, observation);
      const byId = new Map(observation.fleet.map((worker) => [worker.id, worker]));
      for (const { worker, order } of drainsOf(actions)) {
        const isBusy = byId.get(worker)?.task !== null;
        expect(byId.get(worker)).toMatchObject({ origin: "pool" });
        expect(order.onlyIdle).toBe(!isBusy);
        expect(order.untilTaskEnds ?? false).toBe(isBusy);
        expect(isBusy && settings.budgetHard).toBe(false);
      }
      const isOver =
        observation.spend !== null &&
        (observation.spend.todayUsd >= (settings.dailyBudgetUsd ?? Infinity) ||
          observation.spend.hourlyUsd > (settings.maxHourlySpendUsd ?? Infinity));
      for (const worker of signalled(actions, "terminate")) {
        expect(settings.budgetHard && (isOver || draining(observation).includes(worker))).toBe(true);
      }
    });
  });

  it("ends a drain without a deadline only under BUDGET_HARD, and gives it a deadline when an operator drains the pool", () => {
    const reached = { normal: 0, paused: 0, draining: 0, closing: 0, hard: 0 };
    always((settings, seen) => {
      const fleet = seen.fleet.map((worker): ObservedWorker =>
        worker.task === null || worker.signal === "ready"
          ? worker
          : { ...worker, origin: "pool", status: "terminating", drainsWithoutDeadline: true },
      );
      const observation: Observation = { ...seen, fleet };
      const { mode } = observation.intent;
      const { actions } = decide(settings, observation);
      const isTerminating = new Set(
        observation.fleet.filter(({ status }) => status === "terminating").map(({ id }) => id),
      );
      const left = draining(observation).filter((worker) => !signalled(actions, "fail").includes(worker));
      const drained = !settings.budgetHard && (mode === "draining" || mode === "closing");
      reached[settings.budgetHard ? "hard" : mode] += left.length;
      expect(signalled(actions, "terminate").filter((worker) => isTerminating.has(worker))).toEqual(
        settings.budgetHard ? left : [],
      );
      const drains = drainsOf(actions).filter(({ worker }) => isTerminating.has(worker));
      expect(drains.map(({ worker }) => worker)).toEqual(drained ? left : []);
      expect(drains.every(({ order }) => !order.onlyIdle && order.untilTaskEnds === undefined)).toBe(true);
    });
    expect(Math.min(...Object.values(reached))).toBeGreaterThan(5);
  });

  it("drains only idle workers, if no cap is exceeded", () => {
    always((settings, seen) => {
      const uncapped = { ...settings, maxHourlySpendUsd: undefined, dailyBudgetUsd: undefined };
      const byId = new Map(seen.fleet.map((worker) => [worker.id, worker]));
      for (const { worker } of drainsOf(decide(uncapped, normally(seen)).actions)) {
        expect(byId.get(worker)).toMatchObject({ task: null, status: "active", origin: "pool" });
      }
    });
  });

  it("wants a worker for a queued task, unless an operator, a cap or the breaker forbids it", () => {
    always((drawn, seen) => {
      const [undisturbedSettings, observation] = undisturbed(drawn, { ...seen, queued: seen.queued + 1 });
      const settings = { ...undisturbedSettings, maxActiveGpus: undisturbedSettings.maxActiveGpus + 1 };
      const { actions, snapshot } = decide(settings, observation);
      expect(snapshot.desired).toBeGreaterThan(0);
      const present = snapshot.spawning + snapshot.idle + snapshot.busy;
      expect(present + spawned(actions) > 0 || roomUnder(settings.maxActiveGpus, observation) === 0).toBe(true);
    });
  });

  it("never spawns and drains at once; workers that were ordered to leave before do not count in that", () => {
    always((settings, observation) => {
      const { actions } = decide(settings, observation);
      const gone = draining(observation);
      const leaving = [...signalled(actions, "drain"), ...signalled(actions, "terminate")].filter(
        (id) => !gone.includes(id),
      );
      expect(spawnOf(actions) !== undefined && leaving.length > 0).toBe(false);
    });
  });

  it("sends no worker two signals", () => {
    always((settings, observation) => {
      const workers = decide(settings, observation).actions.flatMap((action) =>
        action.kind === "signal" ? [action.worker] : [],
      );
      expect(new Set(workers).size).toBe(workers.length);
    });
  });

  it("does not scale while paused and gives the same verdicts as in any other mode; besides, only BUDGET_HARD ends workers", () => {
    always((settings, observation) => {
      const inMode = (mode: "paused" | "normal") =>
        decide(settings, { ...observation, intent: { ...observation.intent, mode } }).actions;
      const paused = inMode("paused");
      expect(spawnOf(paused)).toBeUndefined();
      expect(signalled(paused, "fail")).toEqual(signalled(inMode("normal"), "fail"));
      const left = signalled(paused, "drain").length + signalled(paused, "terminate").length;
      expect(left === 0 || settings.budgetHard).toBe(true);
    });
  });

  it("limits a hold to the MAX in force, and reaches it if no other bound is met", () => {
    always((drawn, seen) => {
      const hold = 1 + drawn.maxActiveGpus + seen.queued;
      const held = (observation: Observation) => ({ ...observation, intent: { ...observation.intent, hold } });
      const [settings, observation] = undisturbed(drawn, seen);
      expect(decide(settings, held(observation)).snapshot.desired).toBe(settings.maxActiveGpus);
      const max = settingsAt(drawn, NOW).settings.maxActiveGpus;
      expect(decide(drawn, held(normally(seen))).snapshot.desired).toBeLessThanOrEqual(max);
    });
  });

  it("wants no fewer workers for a longer queue, and drains no more", () => {
    fc.assert(
      fc.property(anySettings, anyObservation, fc.integer({ min: 1, max: 50 }), (settings, observation, more) => {
        const short = decide(settings, normally(observation));
        const long = decide(settings, normally({ ...observation, queued: observation.queued + more }));
        expect(long.snapshot.desired).toBeGreaterThanOrEqual(short.snapshot.desired);
        expect(signalled(long.actions, "drain").length).toBeLessThanOrEqual(signalled(short.actions, "drain").length);
        expect(spawned(long.actions)).toBeGreaterThanOrEqual(spawned(short.actions));
      }),
      { numRuns: 500 },
    );
  });

  it("spawns no worker under an open breaker, and lets at most one boot under a half-open one", () => {
    always((settings, observation) => {
      const { actions, snapshot } = decide(settings, observation);
      const boot = observation.fleet.filter(({ status, origin }) => status === "spawning" && origin === "pool").length;
      const most = { closed: Infinity, open: 0, half_open: Math.max(0, 1 - boot) }[snapshot.breaker];
      expect(spawned(actions)).toBeLessThanOrEqual(most);
    });
  });

  it("spawns within the caps, within the launch rate, and one worker at a time while there are no funds", () => {
    always((settings, observation) => {
      const { actions } = decide(settings, observation);
      const spawn = spawnOf(actions);
      if (spawn === undefined) {
        return;
      }
      const { maxHourlySpendUsd: hourly, dailyBudgetUsd: daily } = settings;
      expect(spawn.caps).toMatchObject({ maxHourlySpendUsd: hourly ?? null, dailyBudgetUsd: daily ?? null });
      const { noFunds } = observation;
      const untriedMs = noFunds === null ? Infinity : NOW - noFunds.triedMs;
      expect(noFunds === null || spawn.count === 1).toBe(true);
      expect(untriedMs).toBeGreaterThanOrEqual(settings.noFundsProbeMinutes * 60_000);
      expect(spawn.count + observation.launchedLastMinute).toBeLessThanOrEqual(settings.maxLaunchesPerMinute);
      const { spend } = observation;
      expect(spend !== null || (hourly === undefined && daily === undefined)).toBe(true);
      expect(daily === undefined || (spend?.todayUsd ?? 0) < daily).toBe(true);
      if (hourly === undefined || spend === null) {
        return;
      }
      const { hourlyUsd, unpriced, priceUsd } = spend;
      expect(priceUsd === null ? hourlyUsd : hourlyUsd + spawn.count * priceUsd - 1e-6).toBeLessThan(hourly);
      expect(priceUsd !== null || (spawn.count === 1 && unpriced === 0)).toBe(true);
    });
  });

  it("does not act on anything that is unknown", () => {
    always((settings, seen) => {
      const capped = { ...settings, maxHourlySpendUsd: 1, dailyBudgetUsd: 1 };
      const observation: Observation = {
        ...normally(seen),
        spend: null,
        fleet: seen.fleet.map((worker): ObservedWorker => {
          const task = worker.task && { ...worker.task, startedMs: NOW - SEC, progressMs: null };
          const failedRun = worker.failedRun && { ...worker.failedRun, othersCompletedMs: null };
          return { ...worker, pod: null, heartbeatMs: null, vramMs: null, task, brokenReason: null, failedRun };
        }),
      };
      const { actions, warnings } = decide(capped, observation);
      const uncapped = { ...capped, maxHourlySpendUsd: undefined, dailyBudgetUsd: undefined };
      const free = decide(uncapped, observation).actions.filter(({ kind }) => kind === "signal");
      expect(spawnOf(actions)).toBeUndefined();
      expect(signalled(actions, "fail")).toEqual([]);
      // The reason to leave was known when they were drained; BUDGET_HARD only ends their time.
      const ended = settings.budgetHard ? draining(observation) : [];
      expect(signalled(actions, "terminate").toSorted()).toEqual(ended.toSorted());
      expect(actions.length).toBe(free.length);
      expect(warnings).toEqual([]);
    });
  });

  it("is the same for the same observation, whatever was decided in between", () => {
    always((settings, observation) => {
      const frozen = JSON.stringify(observation);
      const first = decide(settings, observation);
      decide(settings, { ...observation, queued: observation.queued + 99 });
      expect(decide(settings, structuredClone(observation))).toEqual(first);
      expect(JSON.stringify(observation)).toBe(frozen);
    });
  });

  it("gives a worker no second order within thirty seconds", () => {
    always((settings, observation) => {
      for (const signal of ["fail", "terminate"]) {
        const fleet = observation.fleet.map((worker) => ({ ...worker, signal, signalMs: NOW - 29 * SEC }));
        const { actions } = decide(settings, { ...observation, fleet });
        expect(["fail", "drain", "terminate"].flatMap((name) => signalled(actions, name))).toEqual([]);
      }
    });
  });

  it("repeats an order that had no effect for thirty seconds", () => {
    always((settings, observation) => {
      const lastSignal = (signal: string | null, signalMs: number | null): Observation => ({
        ...observation,
        fleet: observation.fleet.map((worker): ObservedWorker => ({ ...worker, signal, signalMs })),
      });
      const [never, long] = [lastSignal("ready", null), lastSignal("drain", NOW - 30 * SEC)];
      for (const order of ["fail", "drain", "terminate"]) {
        expect(signalled(decide(settings, long).actions, order)).toEqual(
          signalled(decide(settings, never).actions, order),
        );
      }
    });
  });

  it("waits thirty seconds for an order to leave, then repeats it; verdicts do not wait", () => {
    always((settings, observation) => {
      const staying = observation.fleet.filter(({ status }) => status !== "terminating");
      const afterSignal = (signal: string, signalMs: number | null): Decision =>
        decide(settings, { ...observation, fleet: staying.map((worker) => ({ ...worker, signal, signalMs })) });
      const pending = afterSignal("drain", NOW - 29 * SEC);
      expect(["drain", "terminate"].flatMap((name) => signalled(pending.actions, name))).toEqual([]);
      const { spawning, idle, busy } = pending.snapshot;
      expect(spawning + idle + busy).toBe(0);
      const never = afterSignal("ready", null);
      expect(signalled(pending.actions, "fail")).toEqual(signalled(never.actions, "fail"));
      expect(afterSignal("drain", NOW - 30 * SEC)).toEqual(never);
    });
  });
});
