import type { Rule } from "../contract/plan.ts";
import { spendCaps, usd } from "./budget.ts";
import { stuckTask } from "./health.ts";
import { missedTarget } from "./latency/missed-target.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";
import { sickAlone } from "./sick.ts";
import { isSilent } from "./silence.ts";

/** The kinds of alerts that an observation alone shows to be open or over. */
export const OBSERVED_KINDS = [
  "workers_stale",
  "task_stuck",
  "queue_waiting",
  "budget_near",
  "budget_reached",
  "no_placement",
  "worker_sick",
  "target_wait_missed",
  "no_able_worker",
] as const;

/** A condition of the observed pool. */
export interface Judgement {
  readonly kind: (typeof OBSERVED_KINDS)[number];
  /** Left out: the pool. */
  readonly subject?: string;
  readonly message: string;
}

/** In a message; the other ones are counted. */
const NAMED = 5;

export interface Judged {
  /** Why health verdicts are held back; null: none is. */
  readonly suspended: string | null;
  /** The rule that set the pool's size. */
  readonly rule: Rule;
}

/** What a person should know of, as far as this observation shows it. At most one of each kind and subject. */
export function conditionsOf(settings: PolicySettings, observation: Observation, judged: Judged): Judgement[] {
  const messages: Readonly<Record<Exclude<Judgement["kind"], "worker_sick">, string | null>> = {
    workers_stale: staleWorkers(settings, observation, judged),
    task_stuck: stuckTasks(settings, observation, judged),
    queue_waiting: waitingQueue(settings, observation),
    budget_near: nearBudget(settings, observation),
    budget_reached: reachedBudget(settings, observation, judged),
    no_placement: missingPlace(observation, judged),
    target_wait_missed: missedTarget(settings, observation, judged.rule),
    no_able_worker: undoneTypes(observation),
  };
  const ofPool = OBSERVED_KINDS.flatMap((kind) => {
    const message = kind === "worker_sick" ? null : messages[kind];
    return message === null ? [] : [{ kind, message }];
  });
  return [...ofPool, ...sickAlone(settings, observation)];
}

function staleWorkers(settings: PolicySettings, observation: Observation, { suspended }: Judged): string | null {
  const stale = atWork(observation).filter((worker) => isSilent(settings, observation, worker));
  const limit = `no heartbeat for GPU_IDLE_TIMEOUT_SEC ${settings.gpuIdleTimeoutSec}`;
  return stale.length === 0 ? null : `${named(stale.map(({ id }) => id))}: ${limit}; ${fate(suspended)}`;
}

function stuckTasks(settings: PolicySettings, observation: Observation, { suspended }: Judged): string | null {
  const stuck = atWork(observation).flatMap((worker) => {
    const task = isSilent(settings, observation, worker) ? null : stuckTask(settings, observation, worker);
    return task === null ? [] : [`task ${task.id} on ${worker.id} (limit ${task.limitSec} s)`];
  });
  return stuck.length === 0 ? null : `no progress: ${named(stuck)}; ${fate(suspended)}`;
}

function fate(suspended: string | null): string {
  return suspended === null ? "the pool ends what does not recover" : `held back: ${suspended}`;
}

/** The pool's own workers that could hold a task. */
function atWork({ fleet }: Observation): ObservedWorker[] {
  return fleet.filter(
    ({ status, origin, task }) =>
      origin === "pool" && (status === "active" || (status === "terminating" && task !== null)),
  );
}

function named(names: readonly string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  return `${names.slice(0, NAMED).join(", ")}${more}`;
}

function waitingQueue({ queueWaitAlertMinutes }: PolicySettings, observation: Observation): string | null {
  const { waitingSinceMs, queued, nowMs } = observation;
  if (waitingSinceMs === null || queued === 0 || nowMs - waitingSinceMs < queueWaitAlertMinutes * 60_000) {
    return null;
  }
  const since = `${new Date(waitingSinceMs).toISOString().slice(0, 19)}Z`;
  return `a task waits for a worker since ${since} (QUEUE_WAIT_ALERT_MINUTES ${queueWaitAlertMinutes})`;
}

/** How many tasks wait changes all the time, so `gpu-pool status` says it. */
function undoneTypes({ undone }: Observation): string | null {
  const types = (undone ?? []).map(({ taskType }) => taskType);
  return types.length === 0
    ? null
    : `tasks of ${types.length === 1 ? "type" : "types"} ${named(types)} wait, and neither a living worker nor a new one of this pool can do them`;
}

/** From this part of the day's budget on, there is still time to raise it. */
const NEAR = 0.8;

function nearBudget(settings: PolicySettings, { spend }: Observation): string | null {
  const { dailyBudgetUsd: daily } = spendCaps(settings);
  const isNear = spend !== null && daily !== null && spend.todayUsd >= NEAR * daily && spend.todayUsd < daily;
  return isNear ? `${NEAR * 100} % of DAILY_BUDGET_USD ${daily} is spent today` : null;
}

/** A spent day counts always, the hourly rate only where it keeps the pool smaller than it should be. */
function reachedBudget(settings: PolicySettings, { spend }: Observation, { rule }: Judged): string | null {
  const { maxHourlySpendUsd: hourly, dailyBudgetUsd: daily } = spendCaps(settings);
  if (spend === null) {
    return null;
  }
  if (daily !== null && spend.todayUsd >= daily) {
    return `DAILY_BUDGET_USD ${daily} is spent`;
  }
  const isFull = hourly !== null && spend.priceUsd !== null && spend.hourlyUsd + spend.priceUsd > hourly;
  return isFull && rule === "budget"
    ? `MAX_HOURLY_SPEND_USD ${hourly} leaves no room for another worker at ${usd(spend.priceUsd)} an hour`
    : null;
}

/** Only while a worker waits for a pod, or is not booked for want of a place. */
function missingPlace({ noPlace, fleet }: Observation, { rule }: Judged): string | null {
  const waits = fleet.some(({ status, origin, podId }) => status === "spawning" && origin === "pool" && podId === null);
  return noPlace !== null && (waits || rule === "placement") ? noPlace.reason : null;
}
