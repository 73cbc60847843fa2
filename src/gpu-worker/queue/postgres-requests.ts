import { z } from "zod";
import { type DatabaseCall, leaseArgs } from "./database-call.ts";
import { keptAnswer } from "./kept-request.ts";
import type { Queue } from "./queue.ts";

const keepAnswer = z.object({ held: z.boolean() });

/** Requests to paid services, as the database keeps them. */
export function createRequestCalls(call: DatabaseCall): Pick<Queue, "keepRequest" | "keptRequest"> {
  return {
    async keepRequest(lease, service, request) {
      const args = { ...leaseArgs(lease), p_service: service, p_request_id: request?.requestId, p_mark: request?.mark };
      return (await call("keep_request", args, keepAnswer)).held;
    },
    keptRequest: (lease, service) => call("kept_request", { ...leaseArgs(lease), p_service: service }, keptAnswer),
  };
}
