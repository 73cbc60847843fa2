import { z } from "zod";
import type { ObservedWorker } from "../../policy/observation.ts";
import type { PoolStatus } from "../../contract/pool-api.ts";
import type { Controller } from "../render/pool-reading.ts";
import { breaker, intent, message, rule, spend } from "./decisions.ts";
import { count, oneOf, pool, reason, sinceEpochMs, time, usd } from "./shapes.ts";

export const alert = z.looseObject({
  kind: z.string().describe("As docs/alerts.md lists them."),
  subject: z.string().describe("A pool, a worker, a pod, a task, or account."),
  pool: pool.nullable().describe("Null: it concerns every pool."),
  message: z.string(),
  openedAt: time,
  closedAt: time.nullable().describe("Null: it is open."),
  whatToDo: z.string(),
});

const kind = { taskType: z.string(), model: z.string().nullable() };
const share = z.number().min(0).max(1).nullable().describe("From 0 to 1; null: not known.");

const worker = z.looseObject({
  id: z.string(),
  status: oneOf<ObservedWorker["status"]>({
    spawning: true,
    active: true,
    terminating: true,
    error: true,
    terminated: true,
  }),
  origin: oneOf<ObservedWorker["origin"]>({ pool: true, external: true }).describe("external: not rented by the pool."),
  bootStage: z.string(),
  bootStageMs: sinceEpochMs,
  bootTimeoutSec: z.number().nullable().describe("How long this stage may last; null: it is no stage of a boot."),
  podId: z.string().nullable(),
  createdMs: sinceEpochMs,
  heartbeatMs: sinceEpochMs.nullable(),
  costPerHourUsd: usd.nullable(),
  task: z
    .looseObject({ id: z.string(), type: z.string().nullable(), progress: share })
    .nullable()
    .describe("Null: it is idle."),
});

const measured = z
  .looseObject({
    at: time,
    bootSec: z.number().nullable().describe("Median of the last 20 boots."),
    waitValue: z.number().nullable(),
    waited: z.looseObject({ starts: count, sec: z.number() }).nullable(),
    arrivalsPerHour: z.number(),
    expectedSec: z.record(z.string(), z.number()).describe("By task type, where an operator states one."),
    demand: z.array(z.looseObject({ ...kind, queued: count, arrivalsPerHour: z.number() })),
    services: z.array(z.looseObject({ ...kind, samples: count, quantilesSec: z.array(z.number()) })),
    speeds: z.array(z.looseObject({ ...kind, gpuType: z.string(), samples: count, meanSec: z.number() })),
    boots: z.array(z.looseObject({ gpuType: z.string(), samples: count, medianSec: z.number() })),
  })
  .nullable()
  .describe("What is measured of the pool; null: nothing yet.");

export const status = z.looseObject({
  pool,
  observedAt: time.describe("Now, by the database's clock."),
  controller: z.looseObject({
    state: oneOf<Controller["state"]>({
      answers: true,
      silent: true,
      not_running: true,
      unreachable: true,
      foreign: true,
    }).describe("foreign: the workflow belongs to another deployment."),
    reason: reason.optional(),
    phase: oneOf<PoolStatus["phase"]>({ starting: true, watching: true, performing: true, closing: true }).nullable(),
    observedAt: time.nullable(),
    stale: z.boolean().nullable().describe("It fails to observe its pool."),
  }),
  intent: intent.nullable().describe("Null: the pool was never started."),
  desired: count.nullable(),
  rule: rule.nullable(),
  schedule: z.string().nullable(),
  suspended: z.string().nullable(),
  breaker: z.looseObject({ state: breaker, since: time }).nullable(),
  alerts: z.array(alert).describe("Open ones, the newest first."),
  workerCounts: z.looseObject({ spawning: count, idle: count, busy: count, terminating: count, error: count }),
  queue: z.looseObject({
    open: count.describe("Claimable."),
    held: count.describe("By a limit of their project or user."),
    blocked: count.describe("They wait for other tasks."),
    delayed: count.describe("Handed back without progress; each may be claimed again within five minutes."),
    inProgress: count,
    completeLastDay: count,
    failedLastDay: count,
  }),
  undone: z.array(z.looseObject({ taskType: z.string(), tasks: count })).describe("Types that no worker can do."),
  measured,
  jobs: z
    .array(z.looseObject({ id: z.string(), purpose: z.string(), progress: z.string(), costPerHourUsd: usd.nullable() }))
    .describe("Pods that were rented for one job and are no part of the fleet."),
  processes: z
    .array(
      z.looseObject({
        host: z.string(),
        pid: z.number().nullable(),
        version: z.string(),
        taskQueue: z.string(),
        leads: z.boolean(),
        startedAt: time,
        seenMs: sinceEpochMs.describe("Its last sign of life."),
      }),
    )
    .describe("Temporal worker processes of all pools, the oldest first."),
  cost: z.looseObject({ perHourUsd: usd, soFarUsd: usd }),
  account: spend
    .extend({ maxHourlySpendUsd: usd.nullable(), dailyBudgetUsd: usd.nullable() })
    .nullable()
    .describe("Spend over all pools, and its caps; null: the pool was never started."),
  lastDecision: z.looseObject({ at: time, reason }).nullable(),
  messages: z.array(message).describe("The last ones, the newest first."),
  workers: z.array(worker),
});

/** One line of output each. */
export const event = z.looseObject({
  id: count,
  at: time,
  pool,
  kind: z.string().describe("Such as decision, worker.gone, message.ignored."),
  reason,
  decision_id: z.string().nullable(),
  worker_id: z.string().nullable(),
  task_id: z.string().nullable(),
  details: z.unknown(),
});

/** A line of a worker's pod has no id and no cycle. */
export const logLine = z.looseObject({
  id: count.optional(),
  timestamp: time,
  arrived_at: time.optional(),
  source_type: z.string(),
  source_id: z.string().nullable(),
  log_level: z.string().describe("DEBUG, INFO, WARNING, ERROR or CRITICAL; POD and HOST for lines of a pod."),
  message: z.string(),
  task_id: z.string().nullable(),
  worker_id: z.string().nullable(),
  cycle_number: z.number().nullable().optional(),
  metadata: z.unknown(),
});
