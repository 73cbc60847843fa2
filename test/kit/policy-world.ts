import type { Action, SpawnAction, WorkerAction } from "../../src/contract/plan.ts";
import { type Decision, decide } from "../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../src/policy/observation.ts";
import type { PolicySettings } from "../../src/policy/settings.ts";
import { observe, SEC, spawning } from "./policy.ts";

const MINUTE_MS = 60 * SEC;
const PRICED_AFTER_MS = 10 * SEC;
const GONE_AFTER_MS = 20 * SEC;

type SimWorker = { -readonly [K in keyof ObservedWorker]: ObservedWorker[K] } & {
  /** Decided at the spawn; `decide` does not see it. */
  readonly fate: { readonly bootsAtMs: number; readonly bootFails: boolean };
  taskEndsMs: number;
  muteFromMs: number;
  endedMs: number | null;
  bootedMs: number | null;
  failedOn: string | null;
};

/** Events that happen to the pool from outside. Times are ms since epoch. */
export interface Script {
  arrivals(nowMs: number): number;
  readonly bootSec: number;
  readonly taskSec: number;
  readonly priceUsd: number;
  bootFails(nowMs: number): boolean;
  /** Whether this worker dies at this moment, without reporting it. */
  dies(nowMs: number, index: number): boolean;
  /** Whether no heartbeat reaches the database at this moment. */
  isDeaf(nowMs: number): boolean;
  /** Cost of the account's other pools, USD an hour. */
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

/** A pool in virtual time that carries out what the real `decide` orders, step by step. Its database makes no mistakes. */
export function* live(settings: PolicySettings, script: Script, fromMs: number, stepMs: number): Generator<Moment> {
  const world = new World(settings, script, fromMs);
  for (;;) {
    const observation = world.step(stepMs);
    const decision = decide(settings, observation);
    const { nowMs, fleet, submitted, completed } = world;
    world.record(decision);
    yield { nowMs, fleet, observation, decision, submitted, completed };
    decision.actions.forEach((action) => world.obey(action));
    world.nowMs += stepMs;
  }
}

class World {
  readonly settings: PolicySettings;
  readonly script: Script;
  readonly history: SimWorker[] = [];
  fleet: SimWorker[] = [];
  nowMs: number;
  breaker: { state: Observation["breaker"]["state"]; sinceMs: number };
  observingSinceMs: number;
  massSilenceSinceMs: number | null = null;
  queued = 0;
  submitted = 0;
  completed = 0;
  todayUsd = 0;
  priceUsd: number | null = null;

  constructor(settings: PolicySettings, script: Script, fromMs: number) {
    this.settings = settings;
    this.script = script;
    this.nowMs = fromMs;
    this.breaker = { state: "closed", sinceMs: fromMs };
    this.observingSinceMs = fromMs;
  }

  step(stepMs: number): Observation {
    const { nowMs, script } = this;
    const arrived = script.arrivals(nowMs);
    this.queued += arrived;
    this.submitted += arrived;
    this.fleet = this.fleet.filter(({ endedMs }) => endedMs === null || nowMs - endedMs < GONE_AFTER_MS);
    this.fleet.forEach((worker, index) => this.age(worker, index));
    const rates = this.fleet.map((worker) => worker.costPerHourUsd ?? this.priceUsd ?? 0);
    const hourlyUsd = rates.reduce((sum, rate) => sum + rate, 0) + script.elsewhereUsd(nowMs);
    this.todayUsd += (hourlyUsd * stepMs) / (60 * MINUTE_MS);
    return this.observe(hourlyUsd);
  }

  record({ breaker, massSilence }: Decision): void {
    if (breaker !== null) {
      this.breaker = { state: breaker.state, sinceMs: this.nowMs };
    }
    if (massSilence === "begun") {
      this.massSilenceSinceMs = this.nowMs;
    } else if (massSilence === "over") {
      this.massSilenceSinceMs = null;
      this.observingSinceMs = this.nowMs;
    }
  }

  obey(action: Action): void {
    if (action.kind === "spawn") {
      return this.book(action);
    }
    const worker = this.fleet.find(({ id }) => id === action.worker);
    if (worker !== undefined) {
      Object.assign(worker, { signal: action.signal.name, signalMs: this.nowMs });
      this.order(worker, action.signal);
    }
  }

  private age(worker: SimWorker, index: number): void {
    const { nowMs, script } = this;
    const isMute = nowMs >= worker.muteFromMs;
    if (worker.status === "spawning") {
      this.boot(worker);
    }
    if (worker.status !== "active" && worker.status !== "terminating") {
      return;
    }
    if (worker.status === "active" && script.dies(nowMs, index)) {
      worker.muteFromMs = Math.min(worker.muteFromMs, nowMs);
    }
    if (!isMute && worker.task !== null && nowMs >= worker.taskEndsMs) {
      this.completed += 1;
      Object.assign(worker, { task: null, releasedMs: nowMs });
    }
    if (worker.status === "terminating" && worker.task === null) {
      worker.endedMs ??= nowMs;
    }
    if (!isMute && worker.status === "active" && worker.task === null && this.queued > 0) {
      this.queued -= 1;
      worker.task = { id: `task ${nowMs}`, startedMs: nowMs, progressMs: null, stuckTimeoutSec: null };
      worker.taskEndsMs = nowMs + script.taskSec * SEC;
    }
    if (!isMute && !script.isDeaf(nowMs)) {
      Object.assign(worker, { heartbeatMs: nowMs, vramMs: nowMs });
      worker.task &&= { ...worker.task, progressMs: nowMs };
    }
  }

  private boot(worker: SimWorker): void {
    const { nowMs, script } = this;
    if (nowMs - worker.createdMs >= PRICED_AFTER_MS) {
      worker.costPerHourUsd = script.priceUsd;
      this.priceUsd = script.priceUsd;
    }
    if (nowMs >= worker.fate.bootsAtMs) {
      worker.bootedMs = nowMs;
      const state = { status: "active", readyMs: nowMs, vramMs: nowMs, heartbeatMs: nowMs } as const;
      Object.assign(worker, worker.fate.bootFails ? { status: "error", endedMs: nowMs } : state);
    }
  }

  private observe(hourlyUsd: number): Observation {
    const { nowMs, history, breaker, priceUsd } = this;
    const sinceMs = Math.max(breaker.sinceMs, nowMs - this.settings.failureWindowMinutes * MINUTE_MS);
    const booted = history.filter(({ bootedMs }) => bootedMs !== null && bootedMs > sinceMs);
    const failed = booted.filter(({ fate }) => fate.bootFails).length;
    const isRecent = (atMs: number, minutes: number) => nowMs - atMs < minutes * MINUTE_MS;
    return observe([...this.fleet], {
      nowMs,
      observingSinceMs: this.observingSinceMs,
      massSilenceSinceMs: this.massSilenceSinceMs,
      queued: this.queued,
      breaker: { ...breaker, failed, ready: booted.length - failed },
      spend: { hourlyUsd, todayUsd: this.todayUsd, priceUsd, unpriced: priceUsd === null ? this.fleet.length : 0 },
      launchedLastMinute: history.filter(({ createdMs }) => isRecent(createdMs, 1)).length,
      failedRecently: history.filter(({ failedOn, endedMs }) => failedOn !== null && isRecent(endedMs ?? 0, 5)).length,
    });
  }

  private order(worker: SimWorker, signal: WorkerAction["signal"]): void {
    if (signal.name === "drain") {
      worker.status = "terminating";
      worker.endedMs = worker.task === null ? this.nowMs : null;
    }
    if (signal.name === "fail" || signal.name === "terminate") {
      this.queued += worker.task === null ? 0 : 1;
      const failedOn = signal.name === "fail" ? signal.verdict.evidence : null;
      Object.assign(worker, { status: "error", task: null, endedMs: this.nowMs, failedOn });
    }
  }

  private book({ count }: SpawnAction): void {
    const { nowMs, script } = this;
    for (let n = 0; n < count; n++) {
      const fate = { bootsAtMs: nowMs + script.bootSec * SEC, bootFails: script.bootFails(nowMs) };
      const unknown = { costPerHourUsd: null, vramMs: null, endedMs: null, bootedMs: null, failedOn: null };
      const worker = { ...spawning({ createdMs: nowMs }), ...unknown, fate, taskEndsMs: 0, muteFromMs: Infinity };
      this.fleet.push(worker);
      this.history.push(worker);
    }
  }
}
