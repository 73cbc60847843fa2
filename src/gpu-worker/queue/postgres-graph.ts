import { z } from "zod";
import { type DatabaseCall, leaseArgs } from "./database-call.ts";
import { QueueError } from "./queue-error.ts";
import type { Queue } from "./queue.ts";

const delegateAnswer = z.object({ outcome: z.enum(["delegated", "lease_lost"]) });

async function unread(): Promise<never> {
  throw new QueueError("rejected", "reading other tasks of the graph", 0, "the database has no function for it yet");
}

type GraphCalls = Pick<Queue, "delegate" | "outputOf" | "predecessorOutput" | "completedSegments">;

/** What the tasks of one graph know of each other. */
export function createGraphCalls(call: DatabaseCall): GraphCalls {
  return {
    async delegate(lease, subTasks, resultTaskId) {
      const rows = subTasks.map(({ id, taskType, params, dependantOn }) => ({
        id,
        task_type: taskType,
        params,
        dependant_on: dependantOn,
      }));
      const args = { ...leaseArgs(lease), p_result_task_id: resultTaskId, p_sub_tasks: rows };
      return (await call("delegate_task", args, delegateAnswer)).outcome;
    },
    outputOf: unread,
    predecessorOutput: unread,
    completedSegments: unread,
  };
}
