import { context, ROOT_CONTEXT } from "@opentelemetry/api";
import { workflowInfo, type WorkflowInterceptors } from "@temporalio/workflow";
import { POOL_WORKFLOW } from "../../contract/names.ts";

/**
 * A pool runs for ever. Each worker that it starts begins a trace of its own, and so does the pool's next run; otherwise all
 * would be one trace without an end.
 */
export function interceptors(): WorkflowInterceptors {
  return {
    outbound: [
      {
        startChildWorkflowExecution: (input, next) => context.with(ROOT_CONTEXT, () => next(input)),
        continueAsNew: (input, next) =>
          workflowInfo().workflowType === POOL_WORKFLOW ? context.with(ROOT_CONTEXT, () => next(input)) : next(input),
      },
    ],
  };
}
