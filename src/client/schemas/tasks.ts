import { z } from "zod";
import { anything, count, reason, time, usd } from "./shapes.ts";

const id = z.string().describe("A UUID.");
export const ids = z.looseObject({ ids: z.array(id).describe("In the order of the input.") });

const listed = {
  id,
  task_type: z.string(),
  status: z.enum(["Queued", "In Progress", "Complete", "Failed", "Cancelled"]),
  gate: z.string().nullable().describe("Of a queued task: open (claimable), held, blocked or delayed."),
  pool: z.string().nullable(),
  project_id: z.string().nullable(),
  worker_id: z.string().nullable(),
  priority: z.number().int(),
  attempts: count.describe("Those that count against the limit of three."),
  created_at: z.string(),
  updated_at: z.string(),
  generation_started_at: time.nullable(),
  generation_processed_at: time.nullable(),
  dependant_on: z.string().nullable(),
  output_location: z.string().nullable().describe("Address of the result."),
  error_message: z.string().nullable(),
};

export const tasks = z.array(z.looseObject(listed)).describe("The newest first.");

export const task = z.looseObject({
  ...listed,
  params: z.unknown(),
  result_data: z.unknown(),
  failed_by: z.string().nullable().describe("The task whose failing failed it."),
  attempt_rows: z
    .array(
      z.looseObject({
        attempt: count,
        worker_id: z.string().nullable(),
        started_at: time,
        ended_at: time.nullable().describe("Null: it is open."),
        cause: z.string().nullable(),
        error: z.string().nullable(),
        progress: z.number().nullable().describe("From 0 to 1."),
        progress_message: z.string().nullable(),
      }),
    )
    .describe("Its claims, the oldest first."),
  cost_usd: usd.nullable().optional().describe("So far, with its part of idle time; null: not known."),
});

const ended = z.looseObject({
  tasks: z.array(
    z.looseObject({
      id,
      status: z.string().describe("As in the table; Deleted: its row is no longer there."),
      pool: z.string(),
      url: z.string().nullable().describe("Address of the result."),
      error: z.string().nullable(),
    }),
  ),
});

const resolved = z.looseObject({
  tasks: z.array(
    z.looseObject({
      task_type: z.string(),
      count,
      parameters: anything.nullable().describe("Value and origin by parameter; null: the table lacks the type."),
      kept: z.unknown().describe("What is handed on as it was given."),
    }),
  ),
});

export const submit = z.union([
  ids.describe("Without --wait and --dry-run."),
  ended.describe("With --wait."),
  resolved.describe("With --dry-run."),
]);

export const generated = z.looseObject({ tasks: z.array(z.looseObject({ id, task_type: z.string() })) });

export const cancelled = z.looseObject({
  id,
  status: z.literal("Cancelled"),
  was: z.string().describe("Its status before."),
});

export const retried = z.looseObject({
  id,
  outcome: z.enum(["reopened", "unknown", "not_failed", "caused", "parent_ended"]),
  status: z.string().nullable(),
  because: z.string().nullable().describe("The task that stands in the way."),
  reopened: count.describe("How many tasks came back."),
});

const taskType = z.looseObject({
  name: z.string(),
  aliases: z.array(z.string()),
  kind: z.string(),
  meaning: z.string(),
  model: z.string().nullable(),
  needs: z.array(z.unknown()),
  stuckTimeoutSec: z.number().nullable(),
  expectedSec: z.number().nullable(),
  doers: z.array(z.string()),
  oneOf: z.array(z.array(z.string())).describe("Of each group at least one has to be given."),
  parameters: z.array(
    z.looseObject({
      name: z.string(),
      aliases: z.array(z.string()),
      isRequired: z.boolean(),
      meaning: z.string(),
      allowed: z.string().describe("The allowed values, in words."),
      default: z.unknown(),
      isFixed: z.boolean(),
    }),
  ),
});
export const types = z.union([z.array(taskType).describe("Without a name."), taskType.describe("With a name.")]);

export const endpoints = z.array(
  z.looseObject({
    id,
    project_id: z.string().nullable(),
    pool: z.string().nullable(),
    kinds: z.array(z.string()),
    format: z.string(),
    setting: z.string().nullable().describe("The setting that made it."),
    enabled: z.boolean(),
    url: z.string(),
    created_at: time,
  }),
);
export const newEndpoint = z.looseObject({ id, secret: z.string().describe("The key that signs; shown once.") });
export const givenUp = z.array(
  z.looseObject({
    id: count,
    kind: z.string(),
    project_id: z.string().nullable(),
    pool: z.string().nullable(),
    payload: z.unknown(),
    attempts: count,
    created_at: time,
    dead_at: time,
    last_error: reason.nullable(),
    endpoint_id: z.string(),
  }),
);
export const delivered = z.looseObject({ retried: count.describe("How many are delivered again.") });
export const removed = z.looseObject({ removed: id });
