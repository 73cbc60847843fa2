import { completeTask } from "./complete-task.ts";
import type { FunctionHandler } from "./function-context.ts";
import { generateUploadUrl } from "./generate-upload-url.ts";
import {
  claimNextTask,
  createTask,
  delegateTask,
  getCompletedSegments,
  getPredecessorOutput,
  taskCounts,
} from "./queue-functions.ts";
import { oldWorker } from "./old-worker.ts";
import { orchestratorWake } from "./orchestrator-wake.ts";
import { serviceRequest } from "./service-request.ts";
import { tasks } from "./tasks.ts";
import { markTaskFailed, updateTaskStatus } from "./update-task.ts";

const DIRECT: Readonly<Record<string, FunctionHandler>> = {
  "claim-next-task": claimNextTask,
  "complete-task": completeTask,
  "create-task": createTask,
  "delegate-task": delegateTask,
  "generate-upload-url": generateUploadUrl,
  "get-completed-segments": getCompletedSegments,
  "get-predecessor-output": getPredecessorOutput,
  "mark-task-failed": markTaskFailed,
  "service-request": serviceRequest,
  "task-counts": taskCounts,
  tasks,
  "update-task-status": updateTaskStatus,
};

/** Every function by its name with hyphens; each is also served under its name with underscores. */
export const FUNCTIONS = {
  ...DIRECT,
  "old-worker": oldWorker(DIRECT),
  "orchestrator-wake": orchestratorWake,
} satisfies Record<string, FunctionHandler>;
