import type { Action, Snapshot, Spend, WorkerAction } from "../contract/plan.ts";
import { type BreakerChange, breakerChange } from "./breaker.ts";
import { spendCaps } from "./budget.ts";
import { evict, hasten } from "./eviction.ts";
import { type Fleet, isCapacity, sortFleet } from "./fleet.ts";
import { judgeHealth } from "./health.ts";
import type { Observation } from "./observation.ts";
import { type Scaling, scale } from "./scale.ts";
import { settingsAt } from "./schedule.ts";
import type { PolicySettings } from "./settings.ts";
import { afterMassSilence, type MassSilenceChange, massSilenceChange, staleVram, type Warning } from "./silence.ts";

/** A farewell that was lost on its way would leave a drained worker waiting; one that is busy being buried ignores it. */
const RETOLD_MS = 120_000;

export interface Decision {
  readonly actions: readonly Action[];
  readonly snapshot: Snapshot;
  /** Breaker's next state where it changes, and why. */
  readonly breaker: BreakerChange | null;
  readonly massSilence: MassSilenceChange | null;
  /** To be journaled once per worker. */
  readonly warnings: readonly Warning[];
}

/**
 * What to do about one observation. Pure: the same observation gives the same decision.
 * @param configured as they are without schedules.
 */
export function decide(configured: PolicySettings, seen: Observation): Decision {
  const { settings, schedule } = settingsAt(configured, seen.nowMs);
  const heard = afterMassSilence(settings, seen);
  const observation = { ...heard, fleet: heard.fleet.filter((worker) => isCapacity(settings, heard, worker)) };
  const breaker = breakerChange(settings, observation);
  const breakerState = breaker?.state ?? observation.breaker.state;

  const { verdicts, suspended } = judgeHealth(settings, observation);
  const failed = verdicts.map(({ worker }) => worker);
  const evictions = evict(settings, observation, sortFleet(observation, new Set(failed)));
  const lastCalls = hasten(settings, observation).filter(({ worker }) => !failed.includes(worker));
  const ended = [...failed, ...evictions.signals.map(({ worker }) => worker)];
  const fleet = sortFleet(observation, new Set(ended));
  const scaling = scale(settings, observation, fleet, breakerState);

  const actions: Action[] = [
    ...verdicts.map(({ worker, verdict }) => signal(worker, { name: "fail", verdict })),
    ...announcements(observation, new Set([...ended, ...scaling.drain.map(({ id }) => id)])),
    ...[...evictions.signals, ...lastCalls].map(({ worker, signal: farewell }) => signal(worker, farewell)),
    ...scalingActions(settings, observation, scaling),
  ];
  const snapshot: Snapshot = {
    ...counts(observation, fleet),
    desired: scaling.desired,
    breaker: breakerState,
    schedule,
    suspended,
    rule: evictions.reason === null ? scaling.rule : "budget",
    reason: evictions.reason === null ? scaling.reason : `${scaling.reason}; ${evictions.reason}`,
  };
  const massSilence = massSilenceChange(settings, seen);
  return { actions, snapshot, breaker, massSilence, warnings: staleVram(settings, observation) };
}

function signal(worker: string, signal: WorkerAction["signal"]): WorkerAction {
  return { kind: "signal", worker, signal };
}

function scalingActions(settings: PolicySettings, { intent }: Observation, scaling: Scaling): Action[] {
  const { reason, onlyIdle, spawn } = scaling;
  const drains = scaling.drain.map(({ id }) => signal(id, { name: "drain", order: { reason, onlyIdle } }));
  if (spawn === 0) {
    return drains;
  }
  const { maxActiveGpus: max } = settings;
  const caps = spendCaps(settings);
  return [...drains, { kind: "spawn", count: spawn, max, intentVersion: intent.version, caps, reason }];
}

/** News for the workers' own workflows: the first sign of life, and the end of a drained worker's last task. */
function announcements(observation: Observation, ordered: ReadonlySet<string>): WorkerAction[] {
  return observation.fleet.flatMap((worker): WorkerAction[] => {
    // Nobody else's machine has a workflow to tell.
    if (ordered.has(worker.id) || worker.origin === "external") {
      return [];
    }
    if (worker.status === "active" && worker.signal === null) {
      return [signal(worker.id, { name: "ready" })];
    }
    const isTold = worker.signal === "released" && observation.nowMs - (worker.signalMs ?? 0) < RETOLD_MS;
    if (worker.status === "terminating" && worker.task === null && !isTold) {
      return [signal(worker.id, { name: "released" })];
    }
    return [];
  });
}

type Counts = Omit<Snapshot, "desired" | "breaker" | "schedule" | "suspended" | "rule" | "reason">;

function counts(observation: Observation, fleet: Fleet): Counts {
  const costPerHourUsd = round(observation.fleet.reduce((sum, worker) => sum + (worker.costPerHourUsd ?? 0), 0));
  // Before the account's spend is read, the pool's own rate is the part of it that is known.
  const spend: Spend = observation.spend ?? { hourlyUsd: costPerHourUsd, todayUsd: 0 };
  return {
    observedAt: new Date(observation.nowMs).toISOString(),
    intent: observation.intent,
    queued: observation.queued,
    spawning: fleet.spawning.length,
    idle: fleet.idle.length,
    busy: fleet.busy.length,
    terminating: fleet.terminating.length + fleet.leaving.length,
    failing: fleet.failing.length,
    costPerHourUsd,
    spend: { hourlyUsd: round(spend.hourlyUsd), todayUsd: round(spend.todayUsd) },
  };
}

function round(usd: number): number {
  return Math.round(usd * 10_000) / 10_000;
}
