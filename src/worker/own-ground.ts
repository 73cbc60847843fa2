import type { Context } from "@temporalio/activity";
import { ApplicationFailure, defaultPayloadConverter } from "@temporalio/common";
import type { ActivityInterceptorsFactory } from "@temporalio/worker";
import { DEPLOYMENT } from "../contract/deployment.ts";
import { FAILURES } from "../contract/failures.ts";

/** A process of the right deployment may poll the same task queue and take the next attempt. */
const NEXT_ATTEMPT = "2s";

/**
 * Refuses activities of another deployment's workflows before they begin: this process would judge them by its own
 * database and its own account. The activity is tried again, so nothing is lost.
 * @param deployment id that this process read from its database.
 * @param onForeign is told of each activity that is refused.
 */
export function ownGround(deployment: string, onForeign: (problem: string) => void): ActivityInterceptorsFactory {
  return ({ info }: Context) => ({
    inbound: {
      async execute(input, next) {
        const header = input.headers[DEPLOYMENT];
        const given = header === undefined ? deployment : defaultPayloadConverter.fromPayload<unknown>(header);
        if (given === deployment) {
          return await next(input);
        }
        const problem =
          `activity ${info.activityType} of workflow ${info.workflowExecution?.workflowId}: the workflow belongs to ` +
          `deployment ${String(given)}, and the database of this process is deployment ${deployment}; nothing was done`;
        onForeign(problem);
        throw ApplicationFailure.create({
          message: problem,
          type: FAILURES.foreignDeployment,
          nextRetryDelay: NEXT_ATTEMPT,
        });
      },
    },
  });
}
