import { z } from "zod";
import { anything, count, pool, reason, time, usd } from "./shapes.ts";
import { pools } from "./installation.ts";

// Reports about pools, settings, tasks and costs.

const byName = anything.describe("By name of the setting, as docs/configuration.md lists them.");

export const poolShown = z.looseObject({
  ...pools.element.shape,
  controller: z.string().describe("As in status: answers, silent, not_running, unreachable or foreign."),
  shouldRun: z.boolean().describe("It was started and not shut down since."),
  ownSettings: byName,
});

export const settingsGot = z.looseObject({ pool, settings: byName });

export const settingsExplained = z.looseObject({
  pool,
  environmentAt: time.nullable().describe("When the Temporal worker started whose environment holds."),
  settings: z.array(
    z.looseObject({
      name: z.string(),
      value: z.unknown().describe("Null: it is not set."),
      unit: z.string().nullable(),
      does: z.string(),
      source: z.enum(["pool", "environment", "default"]),
      variable: z.string(),
      default: z.unknown(),
      changedAt: time.nullable(),
      changedBy: z.string().nullable(),
    }),
  ),
});

const size = z.looseObject({ minActiveGpus: count, maxActiveGpus: count, machinesToKeepIdle: count });
const open = z.string().nullable().describe("Names of the windows that are open.");
export const schedule = z.looseObject({
  pool,
  at: time,
  localTime: z.string(),
  timeZone: z.string(),
  note: z.string().nullable(),
  open,
  holds: size,
  usual: size.describe("Outside all windows."),
  next: z.looseObject({ at: time, open, holds: size }).nullable().describe("Null: no change within eight days."),
  windows: z.array(z.looseObject({ name: z.string(), isOpen: z.boolean() })),
});

export const allShutDown = z.looseObject({
  dryRun: z.boolean(),
  ended: z.boolean().describe("No pod is left."),
  pools: z.array(
    z.looseObject({
      pool,
      workers: count.describe("Rented and not seen gone."),
      busy: count,
      usdPerHour: usd,
      external: count,
      outcome: z.string().optional(),
      reason: reason.optional(),
    }),
  ),
});

const percentiles = z.array(z.number()).length(2).nullable().describe("p50 and p95 in seconds; null: none.");
const counts = {
  tasks: count,
  queued: count,
  running: count,
  complete: count,
  failed: count,
  cancelled: count,
  triedAgain: count.describe("Claimed more than once."),
  waitedSec: percentiles.describe("From when it could be claimed to its last claim; p50 and p95."),
  ranSec: percentiles.describe("From its last claim to its end; p50 and p95."),
};
export const taskStats = z.looseObject({
  since: time,
  total: z.looseObject(counts),
  kinds: z.array(z.looseObject({ ...counts, taskType: z.string(), model: z.string().nullable() })),
  kindsLeftOut: count,
  causes: z.array(
    z.looseObject({
      likeness: z.string().describe("The error without ids, paths and numbers."),
      failed: count,
      attempts: count,
      types: count,
      taskType: z.string(),
      lastAt: time,
      exampleId: z.string(),
      example: z.string(),
    }),
  ),
  causesLeftOut: count,
});

const entries = z
  .array(
    z.looseObject({
      at: time,
      kind: z.string(),
      text: z.string(),
      attempt: count.optional(),
      task: z.string().optional(),
      worker: z.string().optional(),
    }),
  )
  .describe("The oldest first.");
export const timeline = z.looseObject({ id: z.string(), status: z.string().nullable(), entries });

export const downloaded = z.looseObject({
  id: z.string(),
  files: z.array(z.looseObject({ path: z.string(), source: z.string() })),
});

export const costs = z.looseObject({
  since: time,
  by: z.string(),
  totalUsd: usd,
  unpriced: count.describe("Workers whose price is not known."),
  costs: z
    .array(
      z.looseObject({
        of: z.string().describe("Name or id, by what `by` says."),
        about: z.string(),
        usd: usd.nullable().describe("Null: the price is not known."),
        billedMs: z.number(),
      }),
    )
    .describe("The dearest first."),
  leftOut: count,
});
