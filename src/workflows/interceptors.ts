import { defaultPayloadConverter } from "@temporalio/common";
import { workflowInfo, type WorkflowInterceptors } from "@temporalio/workflow";
import { DEPLOYMENT, deploymentOf } from "../contract/deployment.ts";

/** Passes the id of the workflow's deployment on to its activities, its next runs and the workflows that it starts. */
export function interceptors(): WorkflowInterceptors {
  return {
    outbound: [
      {
        scheduleActivity(input, next) {
          const id = deploymentOf(workflowInfo().memo);
          if (id === null) {
            return next(input);
          }
          const headers = { ...input.headers, [DEPLOYMENT]: defaultPayloadConverter.toPayload(id) };
          return next({ ...input, headers });
        },
        // By itself a next run gets the memo that its first run began with, without what was added later.
        continueAsNew(input, next) {
          const memo = { ...workflowInfo().memo, ...input.options.memo };
          return next({ ...input, options: { ...input.options, memo } });
        },
        startChildWorkflowExecution(input, next) {
          const id = deploymentOf(workflowInfo().memo);
          if (id === null) {
            return next(input);
          }
          const memo = { ...input.options.memo, [DEPLOYMENT]: id };
          return next({ ...input, options: { ...input.options, memo } });
        },
      },
    ],
  };
}
