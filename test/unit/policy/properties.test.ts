import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Action } from "../../../src/contract/plan.ts";
import { decide, type Decision } from "../../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import { settingsAt } from "../../../src/policy/schedule.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import { anyObservation, anySettings, drainsOf, NOW, SEC, spawnOf, told, undisturbed } from "../../kit/policy.ts";

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

/** Who was told to leave after its task, for a cap, and still has it. */
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

/** Workers of the pool's own that are there or coming, and told to leave neither now nor before. */
function remaining({ fleet }: Observation, actions: readonly Action[]): ObservedWorker[] {
  const ended = new Set(["fail", "drain", "terminate"].flatMap((name) => told(actions, name)));
  return fleet
    .filter(({ status, origin }) => origin === "pool" && (status === "spawning" || status === "active"))
    .filter((worker) => !ended.has(worker.id) && !isOrdered(worker));
}

/** What a reservation would book at most: rows of workers that were told to leave count until they show it. */
function roomUnder(max: number, { fleet }: Observation): number {
  const booked = fleet.filter(
    ({ origin, status }) => origin === "pool" && (status === "spawning" || status === "active"),
  );
  return Math.max(0, max - booked.length);
}

describe("whatever is observed, a decision", () => {
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

  it("wants no more than the MAX in force; only a pause leaves be what is above it", () => {
    always((settings, observation) => {
      const { snapshot } = decide(settings, observation);
      const { spawning, idle, busy, intent, desired } = snapshot;
      const max = settingsAt(settings, NOW).settings.maxActiveGpus;
      expect(desired).toBeLessThanOrEqual(intent.mode === "paused" ? spawning + idle + busy : max);
    });
  });

  it("brings the pool to the MIN in force, and never drains below that many ready workers, where no cap is reached", () => {
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
      const drained = told(actions, "drain").length;
      expect(drained === 0 || snapshot.idle + snapshot.busy - drained >= min).toBe(true);
    });
    expect(Math.min(reached.caps, reached.raised)).toBeGreaterThan(20);
  });

  it("never ends a busy worker but for its health or BUDGET_HARD; else it may finish its task, however long that takes", () => {
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
      for (const worker of told(actions, "terminate")) {
        expect(settings.budgetHard && (isOver || draining(observation).includes(worker))).toBe(true);
      }
    });
  });

  it("lets who leaves after its task have its time, but under BUDGET_HARD, and shortens it where an operator drains", () => {
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
      const left = draining(observation).filter((worker) => !told(actions, "fail").includes(worker));
      const home = !settings.budgetHard && (mode === "draining" || mode === "closing");
      reached[settings.budgetHard ? "hard" : mode] += left.length;
      expect(told(actions, "terminate").filter((worker) => isTerminating.has(worker))).toEqual(
        settings.budgetHard ? left : [],
      );
      const drains = drainsOf(actions).filter(({ worker }) => isTerminating.has(worker));
      expect(drains.map(({ worker }) => worker)).toEqual(home ? left : []);
      expect(drains.every(({ order }) => !order.onlyIdle && order.untilTaskEnds === undefined)).toBe(true);
    });
    expect(Math.min(...Object.values(reached))).toBeGreaterThan(5);
  });

  it("takes idle workers only, where no cap is exceeded", () => {
    always((settings, seen) => {
      const uncapped = { ...settings, maxHourlySpendUsd: undefined, dailyBudgetUsd: undefined };
      const byId = new Map(seen.fleet.map((worker) => [worker.id, worker]));
      for (const { worker } of drainsOf(decide(uncapped, normally(seen)).actions)) {
        expect(byId.get(worker)).toMatchObject({ task: null, status: "active", origin: "pool" });
      }
    });
  });

  it("wants somebody for a task that waits, where no operator, cap or breaker is against it", () => {
    always((drawn, seen) => {
      const [undisturbedSettings, observation] = undisturbed(drawn, { ...seen, queued: seen.queued + 1 });
      const settings = { ...undisturbedSettings, maxActiveGpus: undisturbedSettings.maxActiveGpus + 1 };
      const { actions, snapshot } = decide(settings, observation);
      expect(snapshot.desired).toBeGreaterThan(0);
      const present = snapshot.spawning + snapshot.idle + snapshot.busy;
      expect(present + spawned(actions) > 0 || roomUnder(settings.maxActiveGpus, observation) === 0).toBe(true);
    });
  });

  it("never both adds and drains; who was told to leave before is no part of that", () => {
    always((settings, observation) => {
      const { actions } = decide(settings, observation);
      const gone = draining(observation);
      const leaving = [...told(actions, "drain"), ...told(actions, "terminate")].filter((id) => !gone.includes(id));
      expect(spawnOf(actions) !== undefined && leaving.length > 0).toBe(false);
    });
  });

  it("tells no worker two things", () => {
    always((settings, observation) => {
      const workers = decide(settings, observation).actions.flatMap((action) =>
        action.kind === "signal" ? [action.worker] : [],
      );
      expect(new Set(workers).size).toBe(workers.length);
    });
  });

  it("holds no scaling while paused, but the same verdicts as in any other mode; only BUDGET_HARD ends somebody then", () => {
    always((settings, observation) => {
      const inMode = (mode: "paused" | "normal") =>
        decide(settings, { ...observation, intent: { ...observation.intent, mode } }).actions;
      const paused = inMode("paused");
      expect(spawnOf(paused)).toBeUndefined();
      expect(told(paused, "fail")).toEqual(told(inMode("normal"), "fail"));
      const left = told(paused, "drain").length + told(paused, "terminate").length;
      expect(left === 0 || settings.budgetHard).toBe(true);
    });
  });

  it("bounds a hold by the MAX in force, and goes to it where nothing else is against it", () => {
    always((drawn, seen) => {
      const hold = 1 + drawn.maxActiveGpus + seen.queued;
      const held = (observation: Observation) => ({ ...observation, intent: { ...observation.intent, hold } });
      const [settings, observation] = undisturbed(drawn, seen);
      expect(decide(settings, held(observation)).snapshot.desired).toBe(settings.maxActiveGpus);
      const max = settingsAt(drawn, NOW).settings.maxActiveGpus;
      expect(decide(drawn, held(normally(seen))).snapshot.desired).toBeLessThanOrEqual(max);
    });
  });

  it("wants no less of a longer queue, and drains no more for it", () => {
    fc.assert(
      fc.property(anySettings, anyObservation, fc.integer({ min: 1, max: 50 }), (settings, observation, more) => {
        const short = decide(settings, normally(observation));
        const long = decide(settings, normally({ ...observation, queued: observation.queued + more }));
        expect(long.snapshot.desired).toBeGreaterThanOrEqual(short.snapshot.desired);
        expect(told(long.actions, "drain").length).toBeLessThanOrEqual(told(short.actions, "drain").length);
        expect(spawned(long.actions)).toBeGreaterThanOrEqual(spawned(short.actions));
      }),
      { numRuns: 500 },
    );
  });

  it("spawns nobody under an open breaker, and keeps to one that boots under a half-open one", () => {
    always((settings, observation) => {
      const { actions, snapshot } = decide(settings, observation);
      const boot = observation.fleet.filter(({ status, origin }) => status === "spawning" && origin === "pool").length;
      const most = { closed: Infinity, open: 0, half_open: Math.max(0, 1 - boot) }[snapshot.breaker];
      expect(spawned(actions)).toBeLessThanOrEqual(most);
    });
  });

  it("spawns within the caps and within the launch rate", () => {
    always((settings, observation) => {
      const { actions } = decide(settings, observation);
      const spawn = spawnOf(actions);
      if (spawn === undefined) {
        return;
      }
      const { maxHourlySpendUsd: hourly, dailyBudgetUsd: daily } = settings;
      expect(spawn.caps).toEqual({ maxHourlySpendUsd: hourly ?? null, dailyBudgetUsd: daily ?? null });
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

  it("takes nothing that is unknown for a reason to act", () => {
    always((settings, seen) => {
      const capped = { ...settings, maxHourlySpendUsd: 1, dailyBudgetUsd: 1 };
      const observation: Observation = {
        ...normally(seen),
        spend: null,
        fleet: seen.fleet.map((worker): ObservedWorker => {
          const task = worker.task && { ...worker.task, startedMs: NOW - SEC, progressMs: null };
          return { ...worker, pod: null, heartbeatMs: null, vramMs: null, task };
        }),
      };
      const { actions, warnings } = decide(capped, observation);
      const uncapped = { ...capped, maxHourlySpendUsd: undefined, dailyBudgetUsd: undefined };
      const free = decide(uncapped, observation).actions.filter(({ kind }) => kind === "signal");
      expect(spawnOf(actions)).toBeUndefined();
      expect(told(actions, "fail")).toEqual([]);
      // Why they leave was known when they were told to; BUDGET_HARD only takes their time.
      const hastened = settings.budgetHard ? draining(observation) : [];
      expect(told(actions, "terminate").toSorted()).toEqual(hastened.toSorted());
      expect(actions.length).toBe(free.length);
      expect(warnings).toEqual([]);
    });
  });

  it("is the same for the same observation, whatever was decided between", () => {
    always((settings, observation) => {
      const frozen = JSON.stringify(observation);
      const first = decide(settings, observation);
      decide(settings, { ...observation, queued: observation.queued + 99 });
      expect(decide(settings, structuredClone(observation))).toEqual(first);
      expect(JSON.stringify(observation)).toBe(frozen);
    });
  });

  it("orders nothing anew of a worker within thirty seconds of an order", () => {
    always((settings, observation) => {
      for (const signal of ["fail", "terminate"]) {
        const fleet = observation.fleet.map((worker) => ({ ...worker, signal, signalMs: NOW - 29 * SEC }));
        const { actions } = decide(settings, { ...observation, fleet });
        expect(["fail", "drain", "terminate"].flatMap((name) => told(actions, name))).toEqual([]);
      }
    });
  });

  it("repeats an order that had no effect for thirty seconds", () => {
    always((settings, observation) => {
      const signalled = (signal: string | null, signalMs: number | null): Observation => ({
        ...observation,
        fleet: observation.fleet.map((worker): ObservedWorker => ({ ...worker, signal, signalMs })),
      });
      const [never, long] = [signalled("ready", null), signalled("drain", NOW - 30 * SEC)];
      for (const order of ["fail", "drain", "terminate"]) {
        expect(told(decide(settings, long).actions, order)).toEqual(told(decide(settings, never).actions, order));
      }
    });
  });

  it("takes an order to leave as under way for thirty seconds, then gives it again; verdicts do not wait", () => {
    always((settings, observation) => {
      const staying = observation.fleet.filter(({ status }) => status !== "terminating");
      const signalled = (signal: string, signalMs: number | null): Decision =>
        decide(settings, { ...observation, fleet: staying.map((worker) => ({ ...worker, signal, signalMs })) });
      const pending = signalled("drain", NOW - 29 * SEC);
      expect(["drain", "terminate"].flatMap((name) => told(pending.actions, name))).toEqual([]);
      const { spawning, idle, busy } = pending.snapshot;
      expect(spawning + idle + busy).toBe(0);
      const never = signalled("ready", null);
      expect(told(pending.actions, "fail")).toEqual(told(never.actions, "fail"));
      expect(signalled("drain", NOW - 30 * SEC)).toEqual(never);
    });
  });
});
