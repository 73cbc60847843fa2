import { z } from "zod";
import type { PoolVerdict, WorkerVerdict } from "../../contract/upkeep.ts";
import type { FindingState } from "../doctor/finding.ts";
import { mode } from "./decisions.ts";
import { count, oneOf, pool, reason, time, usd } from "./shapes.ts";

export const started = z.looseObject({
  pool,
  workflowId: z.string(),
  runId: z.string(),
  wasRunning: z.boolean(),
});

export const pools = z.array(
  z.looseObject({
    pool,
    mode,
    hold: count.nullable(),
    queued: count,
    waiting: count,
    running: count,
    delegated: count,
    spawning: count,
    active: count,
    busy: count,
    terminating: count,
    error: count,
    cost_per_hr_usd: usd,
    observed_at: time.nullable(),
    observed_age_sec: z.number().nullable(),
  }),
);

const finding = { reason, subject: z.string().optional(), workflow: z.string().nullable() };
export const janitor = z.looseObject({
  dryRun: z.boolean(),
  repairs: z.record(z.string(), z.string()).describe("By repair: what it did, or why it could not."),
  workers: z
    .looseObject({
      findings: z.array(
        z.looseObject({
          ...finding,
          pod: z.string().nullable(),
          worker: z.string().nullable(),
          pool: pool.nullable(),
          row: z.string().nullable(),
          verdict: oneOf<WorkerVerdict>({
            kept: true,
            adopt: true,
            start: true,
            wait: true,
            bury: true,
            end: true,
            drain: true,
            capped: true,
            not_ours: true,
            unknown: true,
          }),
        }),
      ),
      leftOut: count,
      unknown: z.array(z.string()).describe("Sources that could not be read."),
      done: z.array(z.string()),
      failed: z.array(z.string()),
    })
    .nullable()
    .describe("Null: the comparison failed."),
  pools: z
    .array(
      z.looseObject({
        ...finding,
        pool,
        row: z.string(),
        verdict: oneOf<PoolVerdict>({
          kept: true,
          wait: true,
          bring_back: true,
          bring_back_paused: true,
          restart: true,
          not_ours: true,
          unknown: true,
        }),
      }),
    )
    .nullable(),
  problems: z.array(z.string()).describe("Repairs that failed and sources that could not be read."),
});

export const doctor = z.looseObject({
  summary: z.looseObject({ ok: count, warnings: count, failed: count, skipped: count }),
  findings: z.array(
    z.looseObject({
      check: z.string(),
      state: oneOf<FindingState>({ ok: true, warning: true, failed: true, skipped: true }),
      detail: z.string(),
      remedy: z.string().nullable().describe("What to do; null: nothing."),
    }),
  ),
});

const names = z.array(z.string());
export const migrated = z.looseObject({
  applied: names.describe("Migrations that were applied now."),
  bucket: z.looseObject({ name: z.string(), outcome: z.string() }).nullable(),
  notices: names,
});
export const migrations = z.looseObject({
  applied: names,
  pending: names,
  unknown: names.describe("Applied by a newer version of this program."),
});
export const drift = z.looseObject({
  objects: count,
  drift: z.array(
    z.looseObject({
      object: z.string(),
      kind: z.enum(["missing", "unexpected", "different"]),
      expected: z.string().nullable(),
      found: z.string().nullable(),
    }),
  ),
});
export const deployment = z.looseObject({ deployment: z.string() });
export const bootstrapped = z.looseObject({ bootstrapped: z.literal(true) });
export const temporalSetup = z.looseObject({
  namespace: z.string(),
  did: names.describe("What was made; none: all was there."),
});
export const secrets = z.looseObject({ folder: z.string(), made: names, kept: names });
export const dev = z.looseObject({
  pid: z.number(),
  pool: pool.nullable(),
  envFile: z.string(),
  api: z.string().nullable(),
  temporal: z.string().nullable(),
  webUi: z.string().nullable(),
  simulator: z.string().nullable(),
});

const sec = z.number().describe("Seconds.");
export const backtest = z.looseObject({
  about: z.string(),
  tasks: count,
  workSec: sec,
  from: time.nullable(),
  to: time.nullable(),
  bounds: z.looseObject({
    floorSec: sec.describe("All tasks on one worker that boots once."),
    noWaitSec: sec.describe("The least for which no task waits."),
  }),
  bootSec: sec,
  bootSigma: z.number(),
  seed: z.number(),
  priceUsd: usd.nullable(),
  results: z.array(
    z.looseObject({
      label: z.string(),
      policy: z.string(),
      tasks: count,
      unserved: count,
      gpuSec: sec,
      bootSec: sec,
      busySec: sec,
      idleSec: sec,
      waitSec: z.looseObject({ mean: sec, p50: sec, p95: sec, p99: sec }),
      spawns: count,
      peak: count,
      ratio: z.number().nullable().describe("Cost over the least for which no task waits."),
      usd: usd.nullable(),
    }),
  ),
  advice: names.optional(),
});
