import { z } from "zod";
import { type DatabaseCall, leaseArgs } from "./database-call.ts";
import type { Queue } from "./queue.ts";

const keepAnswer = z.object({ held: z.boolean() });
const keptAnswer = z.object({
  held: z.boolean(),
  task_status: z.string().nullable(),
  request: z
    .object({
      attempt: z.int(),
      request_id: z.string().nullable(),
      mark: z.string().nullable(),
      asked_at: z.string().transform((text) => Date.parse(text)),
    })
    .nullable(),
});

/** Requests to paid services, as the database keeps them. */
export function createRequestCalls(call: DatabaseCall): Pick<Queue, "keepRequest" | "keptRequest"> {
  return {
    async keepRequest(lease, service, request) {
      const args = { ...leaseArgs(lease), p_service: service, p_request_id: request?.requestId, p_mark: request?.mark };
      return (await call("keep_request", args, keepAnswer)).held;
    },
    async keptRequest(lease, service) {
      const answer = await call("kept_request", { ...leaseArgs(lease), p_service: service }, keptAnswer);
      const { held, task_status: taskStatus, request } = answer;
      if (request === null) {
        return { held, taskStatus, request };
      }
      const { attempt, request_id: requestId, mark, asked_at: askedAtMs } = request;
      return { held, taskStatus, request: { attempt, requestId, mark, askedAtMs } };
    },
  };
}
