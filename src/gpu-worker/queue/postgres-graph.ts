import { z } from "zod";
import { type DatabaseCall, leaseArgs } from "./database-call.ts";
import type { Queue } from "./queue.ts";

const delegateAnswer = z.object({ outcome: z.enum(["delegated", "lease_lost"]) });

const outputAnswer = z
  .object({
    task_id: z.string(),
    status: z.string(),
    output_location: z.string().nullable(),
    result_data: z.unknown(),
  })
  .nullable();
const predecessorAnswer = z.object({
  predecessor_id: z.string().nullable(),
  status: z.string().nullable(),
  output_location: z.string().nullable(),
});
const segmentsAnswer = z.array(z.object({ segment_index: z.int(), output_location: z.string() }));

type GraphCalls = Pick<Queue, "delegate" | "outputOf" | "predecessorOutput" | "completedSegments">;

/** What the tasks of one graph know of each other. */
export function createGraphCalls(call: DatabaseCall): GraphCalls {
  return {
    async delegate(lease, subTasks, resultTaskId) {
      const rows = subTasks.map(({ id, taskType, params, dependantOn, afterSiblings = false }) => ({
        id,
        task_type: taskType,
        params,
        dependant_on: dependantOn,
        after_siblings: afterSiblings,
      }));
      const args = { ...leaseArgs(lease), p_result_task_id: resultTaskId, p_sub_tasks: rows };
      return (await call("delegate_task", args, delegateAnswer)).outcome;
    },
    async outputOf(_lease, taskId) {
      const output = await call("api_task_output", { p_task_id: taskId }, outputAnswer);
      return (
        output && {
          taskId: output.task_id,
          status: output.status,
          outputLocation: output.output_location,
          resultData: output.result_data,
        }
      );
    },
    async predecessorOutput({ taskId }) {
      const before = await call("api_predecessor_output", { p_task_id: taskId }, predecessorAnswer);
      const { predecessor_id: id, status, output_location: outputLocation } = before;
      return id === null || status === null ? null : { taskId: id, status, outputLocation, resultData: null };
    },
    async completedSegments({ projectId }, runId) {
      const args = { p_run_id: runId, p_project_id: projectId };
      const segments = await call("api_completed_segments", args, segmentsAnswer);
      return segments.map((each) => ({ segmentIndex: each.segment_index, outputLocation: each.output_location }));
    },
  };
}
