import type { Action, Snapshot, Spend, WorkerAction } from "../contract/plan.ts";
import { conditionsOf, type Judgement } from "./alerts.ts";
import { type BreakerChange, breakerChange } from "./breaker.ts";
import { spendCaps } from "./budget.ts";
import { endDrainsWithoutDeadline, evict } from "./eviction.ts";
import { type Fleet, isCapacity, sortFleet } from "./fleet.ts";
import { type HealthVerdict, judgeExternal, judgeHealth } from "./health.ts";
import type { Observation } from "./observation.ts";
import { type Scaling, scale } from "./scale.ts";
import { settingsAt } from "./schedule.ts";
import type { PolicySettings } from "./settings.ts";
import { afterMassSilence, type MassSilenceChange, massSilenceChange, staleVram, type Warning } from "./silence.ts";

/**
 * `released` is signalled again after this time: a drained worker whose signal was lost would wait without end. A
 * worker workflow that deletes its pod already ignores the second one.
 */
const RELEASED_AGAIN_MS = 120_000;

export interface Decision {
  readonly actions: readonly Action[];
  readonly snapshot: Snapshot;
  /** The breaker's next state and the reason for it; null: it stays as it is. */
  readonly breaker: BreakerChange | null;
  readonly massSilence: MassSilenceChange | null;
  /** Each is journaled once per worker. */
  readonly warnings: readonly Warning[];
  /** What a person should know of. */
  readonly conditions: readonly Judgement[];
  /** Verdicts about external workers. They have no workflow, so their rows are drained instead. */
  readonly externalVerdicts: readonly HealthVerdict[];
}

/**
 * Decides what to do about one observation. Pure: the same observation gives the same decision.
 * @param configured the settings before schedules change them.
 */
export function decide(configured: PolicySettings, seen: Observation): Decision {
  const { settings, schedule } = settingsAt(configured, seen.nowMs);
  const heard = afterMassSilence(settings, seen);
  const observation = { ...heard, fleet: heard.fleet.filter((worker) => isCapacity(settings, heard, worker)) };
  const breaker = breakerChange(settings, observation);
  const breakerState = breaker?.state ?? observation.breaker.state;

  const { verdicts, suspended } = judgeHealth(settings, observation);
  const failed = verdicts.map(({ worker }) => worker);
  const unfailed = sortFleet(observation, new Set(failed));
  const evictions = evict(settings, observation, unfailed);
  const endedDrains = endDrainsWithoutDeadline(settings, observation).filter(({ worker }) => !failed.includes(worker));
  const ended = [...failed, ...evictions.signals.map(({ worker }) => worker)];
  const fleet = evictions.signals.length === 0 ? unfailed : sortFleet(observation, new Set(ended));
  const scaling = scale(settings, observation, fleet, breakerState);

  const actions: Action[] = [
    ...verdicts.map(({ worker, verdict }) => signal(worker, { name: "fail", verdict })),
    ...news(observation, new Set([...ended, ...scaling.drain.map(({ id }) => id)])),
    ...[...evictions.signals, ...endedDrains].map(({ worker, signal: order }) => signal(worker, order)),
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
  return {
    actions,
    snapshot,
    breaker,
    massSilence,
    warnings: staleVram(settings, observation),
    conditions: conditionsOf(settings, observation, snapshot),
    externalVerdicts: judgeExternal(settings, heard),
  };
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

/** `ready` for a worker that became active, and `released` for a drained worker whose last task has ended. */
function news(observation: Observation, ordered: ReadonlySet<string>): WorkerAction[] {
  return observation.fleet.flatMap((worker): WorkerAction[] => {
    // An external worker has no workflow that could be signalled.
    if (ordered.has(worker.id) || worker.origin === "external") {
      return [];
    }
    if (worker.status === "active" && worker.signal === null) {
      return [signal(worker.id, { name: "ready" })];
    }
    const isSent = worker.signal === "released" && observation.nowMs - (worker.signalMs ?? 0) < RELEASED_AGAIN_MS;
    if (worker.status === "terminating" && worker.task === null && !isSent) {
      return [signal(worker.id, { name: "released" })];
    }
    return [];
  });
}

/** A snapshot stands in the workflow's history. */
const SHOWN_TYPES = 10;

type Counts = Omit<Snapshot, "desired" | "breaker" | "schedule" | "suspended" | "rule" | "reason">;

function counts(observation: Observation, fleet: Fleet): Counts {
  const costPerHourUsd = round(observation.fleet.reduce((sum, worker) => sum + (worker.costPerHourUsd ?? 0), 0));
  // Until the account's spend has been read, only this pool's own rate is known.
  const spend: Spend = observation.spend ?? { hourlyUsd: costPerHourUsd, todayUsd: 0 };
  const undone = (observation.undone ?? []).slice(0, SHOWN_TYPES).map(({ taskType }) => taskType);
  return {
    observedAt: new Date(observation.nowMs).toISOString(),
    ...(undone.length === 0 ? {} : { undone }),
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
