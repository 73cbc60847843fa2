import { z } from "zod";
import type { ActionSummary } from "../../contract/explanations.ts";
import type { Mode } from "../../contract/intent.ts";
import type { BreakerState, Rule } from "../../contract/plan.ts";
import { anything, count, oneOf, pool, reason, sinceEpochMs, time, usd } from "./shapes.ts";

export const mode = oneOf<Mode>({ normal: true, draining: true, paused: true, closing: true }).describe(
  "What operators want. draining: to zero, and stay there. paused: no scaling either way. closing: to zero, then the workflow ends.",
);
const hold = count.nullable().describe("Size at which an operator holds the pool; null: the policy decides.");
const version = count.describe("Raised by each order.");

export const intent = z.looseObject({ mode, hold, holdUntilMs: sinceEpochMs.nullable(), version });

/** What an order prints: the pool's intent from now on. */
export const order = z.looseObject({ pool, ...intent.shape });
export const scaled = z.looseObject({
  ...order.shape,
  cappedAt: count.nullable().describe("MAX, where the hold is above it."),
});
export const shutDown = z.looseObject({
  ...order.shape,
  ended: z.boolean().describe("With --wait: no pod is left and the workflow has ended."),
});

export const breaker = oneOf<BreakerState>({ closed: true, open: true, half_open: true }).describe(
  "closed: spawns go through. open: none do. half_open: one at a time, as a probe.",
);
export const rule = oneOf<Rule>({
  threshold: true,
  workload: true,
  latency: true,
  min: true,
  idle_buffer: true,
  max: true,
  hold: true,
  paused: true,
  draining: true,
  closing: true,
  breaker: true,
  budget: true,
  funds: true,
  placement: true,
  launch_rate: true,
}).describe("The rule that won: a policy, a bound, an operator's order, or the bound that held spawns back.");

const action = z.looseObject({
  kind: oneOf<ActionSummary["kind"]>({
    spawn: true,
    ready: true,
    released: true,
    drain: true,
    fail: true,
    terminate: true,
  }).describe(
    "spawn: book workers. ready, released: tell worker workflows that something happened. drain: end after the task. fail: a health verdict. terminate: end now.",
  ),
  count: count.describe("How many workers it concerns."),
  workers: z.array(z.string()).max(10).describe("Their ids, at most ten; none for spawn."),
  reason: reason.nullable(),
});
const actions = z.array(action).describe("What was decided; equal actions are one entry.");

export const spend = z.looseObject({
  hourlyUsd: usd.describe("USD an hour of every pod not seen gone, over all pools."),
  todayUsd: usd.describe("USD since midnight UTC, over all pools."),
});

const schedule = z.string().nullable().describe("Names of the schedule's windows that are open.");
const suspended = z.string().nullable().describe("Why health verdicts are held back; null: they are given.");
const desired = count.describe("Workers that the rules and caps want, spawning ones included.");
const queued = count.describe("Claimable tasks, counted up to 10,000.");
const costPerHourUsd = usd.describe("USD an hour of this pool's workers.");

/** What a decision was made from, and what it wants. */
const decided = {
  pool,
  at: time.describe("When the pool was observed, ISO 8601 in UTC, by the database's clock."),
  mode,
  hold,
  holdUntil: time.nullable().optional().describe("When the hold ends; null: not by itself."),
  desired,
  rule,
  reason: reason.describe("The decision in one sentence, with its figures."),
  queued,
  workers: z.looseObject({
    spawning: count.describe("Booked or booting; no heartbeat yet."),
    idle: count.describe("Active, without a task."),
    busy: count.describe("Active, with a task."),
    terminating: count.describe("Drained, or with an order or a verdict to leave; the pod may still exist."),
    failing: count.describe("In error; the pod may still exist."),
  }),
  breaker,
  schedule: schedule.optional(),
  suspended: suspended.optional(),
  costPerHourUsd,
  spend,
  actions,
};

export const cycle = z
  .looseObject({
    ...decided,
    decisionId: z
      .string()
      .describe("Id of this decision. Where it holds actions, its row in pool_events carries the same id."),
    booked: z
      .array(z.string())
      .describe(
        "Ids of the workers that were booked. Fewer than requested where a cap, the breaker or an order intervened; empty where a controller runs the pool, whose bookings are in the journal.",
      ),
  })
  .describe(
    "What one round of a pool saw, decided and did; also the result of a gpuPool workflow that was started with `rounds`. A round of an older version lacks holdUntil, schedule and suspended.",
  );

const settings = z.looseObject({
  values: anything.describe("Settings in force by name, as docs/configuration.md lists them, without secrets."),
  own: z.array(z.string()).describe("Names of those that the pool has of its own."),
});

export const decide = z
  .looseObject({
    ...decided,
    provider: z.string().describe("The provider's list of pods, in words."),
    breakerChange: z
      .looseObject({ state: breaker, reason })
      .nullable()
      .describe("The breaker's new state; null: it stays."),
    warnings: z.array(z.looseObject({ worker: z.string(), reason })),
    settings,
    changed: z.literal(false),
  })
  .describe("What the pool would decide now. Nothing was changed.");

export const config = z.looseObject({
  pool,
  settings: settings.extend({ fingerprint: z.string() }).nullable().describe("Null: not read yet."),
});

const explanation = z.looseObject({
  decisionId: z.string(),
  at: time,
  rule: z.string().nullable(),
  reason,
  inputs: z
    .looseObject({
      desired: desired.optional(),
      queued: queued.optional(),
      breaker: breaker.optional(),
      schedule: schedule.optional(),
      suspended: suspended.optional(),
    })
    .nullable()
    .describe("What it was decided from; null: an older version did not journal it."),
  actions,
});

export const message = z.looseObject({
  at: time,
  kind: z.string().describe("The message, or what became of it: ignored, folded, repeated."),
  reason,
});

export const explain = z.looseObject({
  pool,
  now: explanation.nullable().describe("The latest state; null: no workflow answers."),
  decisions: z.array(explanation).describe("The last ones that held actions, the newest first."),
  failedBoots: z
    .array(z.looseObject({ worker: z.string(), at: time, stage: z.string().nullable(), reason }))
    .nullable()
    .describe("Boots of the last hour that failed, the newest first; null: the database does not answer."),
  messages: z.array(message).nullable().describe("The last ones; null: the database does not answer."),
  places: z
    .array(z.looseObject({ at: time, worker: z.string().nullable(), reason }))
    .nullable()
    .describe("Where the last pods were asked for, and why there; null: the database does not answer."),
  observedAt: time.nullable().describe("When the pool was last known to be as `now` shows it."),
  stale: z.boolean().nullable().describe("Its controller fails to observe it."),
});
