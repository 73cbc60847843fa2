import { z } from "zod";
import { anything, count, pool, reason, time, usd } from "./shapes.ts";

const seen = {
  id: z.string(),
  pool,
  status: z.enum(["spawning", "active", "terminating", "error", "terminated"]),
  origin: z.enum(["pool", "external"]),
  instance_type: z.string().nullable(),
  pod_id: z.string().nullable(),
  boot_stage: z.string(),
  boot_stage_at: time,
  created_at: time,
  ready_at: time.nullable(),
  last_heartbeat: time.nullable(),
  vram_total_mb: z.number().nullable(),
  vram_used_mb: z.number().nullable(),
  status_reason: z.string().nullable(),
  terminating_at: time.nullable(),
  failed_at: time.nullable(),
  failed_on: z.string().nullable(),
  pod_created_at: time.nullable(),
  deleted_at: time.nullable(),
  gone_at: time.nullable().describe("Null: its pod is not seen gone."),
  cost_per_hr_usd: usd.nullable(),
  cost_usd: usd.nullable().describe("Booked when it is gone."),
  held: z
    .array(
      z.looseObject({
        task_id: z.string(),
        progress: z.number().nullable().describe("From 0 to 1."),
        started_at: time,
        tasks: z.looseObject({ task_type: z.string() }).nullable(),
      }),
    )
    .describe("The task that it has; at most one."),
};

export const workers = z.array(z.looseObject(seen)).describe("The oldest first.");

export const worker = z.looseObject({
  ...seen,
  last_tasks: z
    .array(
      z.looseObject({
        task_id: z.string(),
        attempt: count,
        worker_id: z.string(),
        started_at: time,
        ended_at: time.nullable(),
        cause: z.string().nullable(),
        error: z.string().nullable(),
        tasks: z.looseObject({ task_type: z.string(), project_id: z.string().nullable() }).nullable(),
      }),
    )
    .describe("The newest first."),
});

export const ordered = z.looseObject({
  pool,
  worker: z.string(),
  outcome: z.enum(["ordered", "external", "already_leaving", "not_living", "unknown", "removed"]),
  status: z.string().nullable(),
});

export const token = z
  .record(z.string(), z.string())
  .describe("The environment of the worker's process, by variable. It is shown once.");

export const diagnostics = z.looseObject({
  worker: z.looseObject({
    id: z.string(),
    status: z.string().nullable(),
    status_reason: z.string().nullable(),
    boot_stage: z.string(),
    pod_id: z.string().nullable(),
  }),
  runs: z.string().describe("Profile and image by its pool's settings."),
  commit: z
    .looseObject({ hash: z.string(), from: z.enum(["the pod", "the volume's manifest"]) })
    .nullable()
    .describe("Of the program's source; null: not known."),
  provider: z.string().describe("The pod as the provider shows it, in words."),
  inside: z
    .looseObject({
      commit: z.string().nullable(),
      lines: z.array(z.string()),
      problem: z.string().nullable().describe("Why nothing was seen."),
    })
    .nullable()
    .describe("The view by SSH; null: it was not tried."),
  records: z
    .array(z.looseObject({ at: time, reason, details: z.unknown() }))
    .describe("Kept when it failed, the newest first."),
});

const volumeFindings = z.array(z.looseObject({ what: z.string(), fits: z.boolean(), detail: z.string() }));
const nothingPrepared = { pool, profile: z.string() };

export const volumes = z.looseObject({
  volumes: z.array(
    z.looseObject({
      id: z.string(),
      name: z.string().nullable(),
      sizeGb: z.number().nullable(),
      dataCenterId: z.string().nullable(),
      usdPerMonth: usd.nullable(),
      pools: z.array(z.string()).describe("Pools of this database whose settings name it."),
      prepared: z
        .looseObject({ at: time, models: z.array(z.string()) })
        .nullable()
        .describe("Null: never by this database."),
      preparedNowBy: z.string().nullable().describe("The pod that prepares it."),
    }),
  ),
  unnamed: z.unknown().describe("Volumes of the list that have no readable id."),
});
export const volumeCheck = z.union([
  z.looseObject({ pool, volume: z.string(), preparedAt: time, findings: volumeFindings }),
  z.looseObject({ ...nothingPrepared, findings: volumeFindings }).describe("The profile needs no prepared volume."),
]);
export const volumePrepare = z.union([
  z.looseObject({
    pool,
    pod: z.string(),
    volume: z.string().nullable().optional(),
    state: z.string().describe("done, or how it ended else."),
    reason: z.string().nullable().optional(),
    manifest: anything.nullable(),
    costUsd: usd.nullable(),
  }),
  z.looseObject({ ...nothingPrepared, state: z.literal("nothing_to_prepare"), reason }),
]);
