import type { Alert } from "../../../contract/alerts.ts";
import { alertStore } from "../../../supabase/alert-store.ts";
import type { Database } from "../../../supabase/client.ts";
import { fleetStore, type LivingWorker } from "../../../supabase/fleet/fleet-store.ts";
import { journalStore } from "../../../supabase/journal-store.ts";
import { DEFAULT_WAIT_VALUE } from "../../../policy/latency/wait-value.ts";
import type { DetailedReading } from "../../../supabase/observation.ts";
import { type JobRecord, jobStore } from "../../../supabase/jobs/job-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import { processStore } from "../../../supabase/processes/process-store.ts";
import { type TaskCount, taskStore } from "../../../supabase/task-store.ts";
import { bootTimeoutName } from "../../../contract/boot-stages.ts";
import { withOwn } from "../../../contract/pool-settings.ts";
import { poolQueries } from "../../../contract/pool-api.ts";
import type { Connections } from "../../connections.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { jobInWords } from "../../jobs/run-job.ts";
import { askPool } from "../../pool-workflow.ts";
import type { Controller, FleetWorker, LivingJob, PoolReading, QueueCounts } from "../../render/pool-reading.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const SHOWN_MESSAGES = 3;
/** The costs of ended workers are many rows, and change little from one look to the next. */
const KEEP_COST_MS = 30_000;

type SeenWorker = NonNullable<DetailedReading["fleet"]>[number];

/** Reads the status of a pool; one reader may be asked again and again. */
export function createStatusReader(connections: Connections, pool: string): () => Promise<PoolReading> {
  const bookedCost = cached(KEEP_COST_MS, (database: Database) => fleetStore(database).bookedCost(pool));
  return async () => {
    const database = await connections.database();
    const open = alertStore(database).list({ pool });
    const [observed, queue, living, booked, jobs, processes, lastDecision, messages, undone, alerts, controller] =
      await Promise.all([
        poolStore(database).look(pool),
        countQueue(database, pool),
        fleetStore(database).living(pool),
        bookedCost(database),
        jobStore(database).living(pool),
        processStore(database).living(),
        readLastDecision(database, pool),
        journalStore(database).messages(pool, SHOWN_MESSAGES),
        poolStore(database).undone(pool),
        open,
        askController(connections, pool),
      ]).catch(async (error: unknown) => await refuseUndecided(error, pool, open));
    const nowMs = observed?.nowMs ?? Date.now();
    const typeOf = new Map(living.map(({ id, taskType }) => [id, taskType]));
    return {
      pool,
      nowMs,
      intent: observed && observed.intent,
      fleet: (observed?.fleet ?? []).map((worker) => ({
        ...toWorker(worker, typeOf.get(worker.id) ?? null),
        bootTimeoutSec: worker.status === "spawning" ? bootTimeoutOf(worker.bootStage, observed) : null,
      })),
      jobs: jobs.map(toJob),
      processes,
      queue,
      measured: observed && toFigures(observed),
      costUsd: living.reduce((sum, worker) => sum + costSoFar(worker, nowMs), booked),
      account: observed && toAccount(observed),
      breaker: observed && observed.breaker,
      lastDecision,
      messages,
      undone: undone ?? [],
      alerts,
      controller,
    };
  };
}

/** A fault that keeps the controller from observing the pool may keep it from being shown. Its alert is read nevertheless. */
async function refuseUndecided(error: unknown, pool: string, alerts: Promise<readonly Alert[]>): Promise<never> {
  const open = await alerts.catch(() => []);
  const told = open.find(({ kind }) => kind === "pool_undecided");
  if (told === undefined) {
    throw error;
  }
  const advice = "What the error names keeps it from being shown too. gpu-pool alerts lists what else needs a person.";
  throw new ClientError(EXIT.failed, `pool ${pool}: ${told.message}`, advice, { cause: error });
}

/** A value that follows from WAIT_COST_USD_PER_HOUR changes with the price, so only decisions say it. */
export function toFigures({
  measured,
  config,
  environment,
}: Pick<DetailedReading, "measured" | "config" | "environment">): PoolReading["measured"] {
  const { policy, targetWaitSec, waitCostUsdPerHour, waitValue } = withOwn<Record<string, unknown>>(
    environment,
    config,
  );
  const own = typeof waitValue === "number" ? waitValue : DEFAULT_WAIT_VALUE;
  const stated = typeof waitCostUsdPerHour === "number" ? null : own;
  const inForce = typeof targetWaitSec === "number" ? (measured?.waitValue ?? null) : stated;
  return measured && { ...measured, waitValue: policy === "latency" ? inForce : null };
}

function toWorker(
  { id, status, origin, bootStage, bootStageMs, podId, createdMs, heartbeatMs, costPerHourUsd, task }: SeenWorker,
  type: string | null,
): Omit<FleetWorker, "bootTimeoutSec"> {
  const shown = { id, status, origin, bootStage, bootStageMs, podId, createdMs, heartbeatMs, costPerHourUsd };
  return { ...shown, task: task && { id: task.id, type, progress: task.progress } };
}

function toJob(job: JobRecord): LivingJob {
  const { worker_id: id, purpose, workers } = job;
  return { id, purpose, progress: jobInWords(job), costPerHourUsd: workers.cost_per_hr_usd };
}

function bootTimeoutOf(stage: string, observed: DetailedReading | null): number | null {
  const name = bootTimeoutName(stage);
  const inForce = observed?.config[name] ?? observed?.environment[name];
  return typeof inForce === "number" ? inForce : null;
}

function costSoFar({ billedFromMs, billedToMs, costPerHourUsd }: LivingWorker, nowMs: number): number {
  return billedFromMs === null ? 0 : (costPerHourUsd * Math.max(0, (billedToMs ?? nowMs) - billedFromMs)) / HOUR_MS;
}

function toAccount({ spend, environment }: DetailedReading): PoolReading["account"] {
  const cap = (name: string) => (typeof environment[name] === "number" ? environment[name] : null);
  return (
    spend && {
      hourlyUsd: spend.hourlyUsd,
      todayUsd: spend.todayUsd,
      maxHourlySpendUsd: cap("maxHourlySpendUsd"),
      dailyBudgetUsd: cap("dailyBudgetUsd"),
    }
  );
}

async function countQueue(database: Database, pool: string): Promise<QueueCounts> {
  const store = taskStore(database);
  const changedSince = new Date(Date.now() - DAY_MS).toISOString();
  const count = (tasks: Omit<TaskCount, "pool">) => store.count({ pool, ...tasks });
  const [open, held, blocked, delayed, inProgress, completeLastDay, failedLastDay] = await Promise.all([
    count({ status: "Queued", gate: "open" }),
    count({ status: "Queued", gate: "held" }),
    count({ status: "Queued", gate: "blocked" }),
    count({ status: "Queued", gate: "delayed" }),
    count({ status: "In Progress" }),
    count({ status: "Complete", changedSince }),
    count({ status: "Failed", changedSince }),
  ]);
  return { open, held, blocked, delayed, inProgress, completeLastDay, failedLastDay };
}

async function readLastDecision(database: Database, pool: string): Promise<PoolReading["lastDecision"]> {
  const [last] = await journalStore(database).decisions(pool, 1);
  return last === undefined ? null : { atMs: Date.parse(last.at), reason: last.reason };
}

async function askController(connections: Connections, pool: string): Promise<Controller> {
  const asked = await askPool(connections, pool, poolQueries.status);
  return asked.state === "answers" ? { state: "answers", status: asked.answer, look: asked.look } : asked;
}

function cached<A, T>(forMs: number, read: (input: A) => Promise<T>): (input: A) => Promise<T> {
  let last: { readonly value: T; readonly untilMs: number } | null = null;
  return async (input) => {
    if (last === null || Date.now() >= last.untilMs) {
      last = { value: await read(input), untilMs: Date.now() + forMs };
    }
    return last.value;
  };
}
