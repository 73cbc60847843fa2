import type { Action, SpawnAction, WorkerAction } from "../../src/contract/plan.ts";
import { type Decision, decide } from "../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../src/policy/observation.ts";
import type { PolicySettings } from "../../src/policy/settings.ts";
import { observe, SEC, spawning } from "./policy.ts";

const MINUTE_MS = 60 * SEC;
const PRICED_AFTER_MS = 10 * SEC;
const GONE_AFTER_MS = 20 * SEC;

type SimWorker = { -readonly [K in keyof ObservedWorker]: ObservedWorker[K] } & {
  /** Known by the world only. */
  readonly fate: { readonly bootsAtMs: number; readonly bootFails: boolean };
  taskEndsMs: number;
  muteFromMs: number;
  endedMs: number | null;
  bootedMs: number | null;
  failedOn: string | null;
};

/** What happens to the pool from outside. Times are ms since epoch. */
export interface Script {
  arrivals(nowMs: number): number;
  readonly bootSec: number;
  readonly taskSec: number;
  readonly priceUsd: number;
  bootFails(nowMs: number): boolean;
  /** Whether this worker dies without a word at this moment. */
  dies(nowMs: number, index: number): boolean;
  /** No heartbeat reaches the database. */
  isDeaf(nowMs: number): boolean;
  /** USD an hour, of the account's other pools. */
  elsewhereUsd(nowMs: number): number;
}

export interface Moment {
  readonly nowMs: number;
  readonly fleet: readonly ObservedWorker[];
  readonly observation: Observation;
  readonly decision: Decision;
  readonly submitted: number;
  readonly completed: number;
}

/** A pool in virtual time that obeys the real `decide`, told moment by moment. Its database makes no mistakes. */
export function* live(settings: PolicySettings, script: Script, fromMs: number, stepMs: number): Generator<Moment> {
  let fleet: SimWorker[] = [];
  let breaker: { state: Observation["breaker"]["state"]; sinceMs: number } = { state: "closed", sinceMs: fromMs };
  let [queued, submitted, completed, todayUsd] = [0, 0, 0, 0];
  let priceUsd: number | null = null;
  let observingSinceMs = fromMs;
  let massSilenceSinceMs: number | null = null;
  const history: SimWorker[] = [];

  for (let nowMs = fromMs; ; nowMs += stepMs) {
    const arrived = script.arrivals(nowMs);
    queued += arrived;
    submitted += arrived;
    fleet = fleet.filter(({ endedMs }) => endedMs === null || nowMs - endedMs < GONE_AFTER_MS);
    fleet.forEach(age);
    const hourlyUsd =
      fleet.reduce((sum, worker) => sum + (worker.costPerHourUsd ?? priceUsd ?? 0), 0) + script.elsewhereUsd(nowMs);
    todayUsd += (hourlyUsd * stepMs) / (60 * MINUTE_MS);
    const observation = look(hourlyUsd);
    const decision = decide(settings, observation);
    if (decision.breaker !== null) {
      breaker = { state: decision.breaker.state, sinceMs: nowMs };
    }
    if (decision.massSilence === "begun") {
      massSilenceSinceMs = nowMs;
    } else if (decision.massSilence === "over") {
      massSilenceSinceMs = null;
      observingSinceMs = nowMs;
    }
    yield { nowMs, fleet, observation, decision, submitted, completed };
    decision.actions.forEach(obey);

    function age(worker: SimWorker, index: number): void {
      const isMute = nowMs >= worker.muteFromMs;
      if (worker.status === "spawning" && nowMs - worker.createdMs >= PRICED_AFTER_MS) {
        worker.costPerHourUsd = script.priceUsd;
        ({ priceUsd } = script);
      }
      if (worker.status === "spawning" && nowMs >= worker.fate.bootsAtMs) {
        worker.bootedMs = nowMs;
        const state = { status: "active", readyMs: nowMs, vramMs: nowMs, heartbeatMs: nowMs } as const;
        Object.assign(worker, worker.fate.bootFails ? { status: "error", endedMs: nowMs } : state);
      }
      if (worker.status !== "active" && worker.status !== "terminating") {
        return;
      }
      if (worker.status === "active" && script.dies(nowMs, index)) {
        worker.muteFromMs = Math.min(worker.muteFromMs, nowMs);
      }
      if (!isMute && worker.task !== null && nowMs >= worker.taskEndsMs) {
        completed += 1;
        Object.assign(worker, { task: null, releasedMs: nowMs });
      }
      if (worker.status === "terminating" && worker.task === null) {
        worker.endedMs ??= nowMs;
      }
      if (!isMute && worker.status === "active" && worker.task === null && queued > 0) {
        queued -= 1;
        worker.task = { id: `task ${nowMs}`, startedMs: nowMs, progressMs: null, stuckTimeoutSec: null };
        worker.taskEndsMs = nowMs + script.taskSec * SEC;
      }
      if (!isMute && !script.isDeaf(nowMs)) {
        Object.assign(worker, { heartbeatMs: nowMs, vramMs: nowMs });
        worker.task &&= { ...worker.task, progressMs: nowMs };
      }
    }

    function look(hourlyUsd: number): Observation {
      const sinceMs = Math.max(breaker.sinceMs, nowMs - settings.failureWindowMinutes * MINUTE_MS);
      const booted = history.filter(({ bootedMs }) => bootedMs !== null && bootedMs > sinceMs);
      const failed = booted.filter(({ fate }) => fate.bootFails).length;
      const isRecent = (atMs: number, minutes: number) => nowMs - atMs < minutes * MINUTE_MS;
      return observe([...fleet], {
        nowMs,
        observingSinceMs,
        massSilenceSinceMs,
        queued,
        breaker: { ...breaker, failed, ready: booted.length - failed },
        spend: { hourlyUsd, todayUsd, priceUsd, unpriced: priceUsd === null ? fleet.length : 0 },
        launchedLastMinute: history.filter(({ createdMs }) => isRecent(createdMs, 1)).length,
        failedRecently: history.filter(({ failedOn, endedMs }) => failedOn !== null && isRecent(endedMs ?? 0, 5))
          .length,
      });
    }

    function obey(action: Action): void {
      if (action.kind === "spawn") {
        return book(action);
      }
      const worker = fleet.find(({ id }) => id === action.worker);
      if (worker !== undefined) {
        Object.assign(worker, { signal: action.signal.name, signalMs: nowMs });
        order(worker, action.signal);
      }
    }

    function order(worker: SimWorker, signal: WorkerAction["signal"]): void {
      if (signal.name === "drain") {
        worker.status = "terminating";
        worker.endedMs = worker.task === null ? nowMs : null;
      }
      if (signal.name === "fail" || signal.name === "terminate") {
        queued += worker.task === null ? 0 : 1;
        const failedOn = signal.name === "fail" ? signal.verdict.evidence : null;
        Object.assign(worker, { status: "error", task: null, endedMs: nowMs, failedOn });
      }
    }

    function book({ count }: SpawnAction): void {
      for (let n = 0; n < count; n++) {
        const fate = { bootsAtMs: nowMs + script.bootSec * SEC, bootFails: script.bootFails(nowMs) };
        const unknown = { costPerHourUsd: null, vramMs: null, endedMs: null, bootedMs: null, failedOn: null };
        const worker = { ...spawning({ createdMs: nowMs }), ...unknown, fate, taskEndsMs: 0, muteFromMs: Infinity };
        fleet.push(worker);
        history.push(worker);
      }
    }
  }
}
