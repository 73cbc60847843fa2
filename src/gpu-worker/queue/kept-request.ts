import { z } from "zod";
import type { KeptRequest } from "./queue.ts";

/** What the database answers about the request that a task has kept. */
export const keptAnswer: z.ZodType<KeptRequest> = z
  .object({
    held: z.boolean(),
    task_status: z.string().nullable(),
    request: z
      .object({
        attempt: z.int(),
        request_id: z.string().nullable(),
        mark: z.string().nullable(),
        asked_at: z.string().transform((text) => Date.parse(text)),
      })
      .transform(({ attempt, request_id, mark, asked_at }) => ({
        attempt,
        requestId: request_id,
        mark,
        askedAtMs: asked_at,
      }))
      .nullable(),
  })
  .transform(({ held, task_status, request }) => ({ held, taskStatus: task_status, request }));
