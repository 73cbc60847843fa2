import { DatabaseError } from "../../../supabase/database-error.ts";
import { type Retried, taskStore } from "../../../supabase/task-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findTask } from "../../find-by-prefix.ts";
import type { JsonOptions } from "../../options.ts";
import { counted } from "../../render/rows.ts";

export interface ChangeOptions extends JsonOptions {
  readonly reason?: string;
}

/** @throws ClientError when the task is complete or failed already, or there is none */
export async function cancelTask(context: Context, given: string, { json }: JsonOptions): Promise<void> {
  const { id, status } = await findTask(context, given);
  try {
    await taskStore(await context.connections.database()).cancel(id);
  } catch (error) {
    if (error instanceof DatabaseError && error.code === "PT409") {
      throw new ClientError(EXIT.failed, `task ${id} has ended already`, `gpu-pool task show ${id.slice(0, 8)}`, {
        cause: error,
      });
    }
    throw error;
  }
  if (json) {
    context.output.printJson({ id, status: "Cancelled", was: status });
  } else {
    context.output.print(status === "Cancelled" ? `task ${id} was cancelled already` : `task ${id} cancelled`);
  }
}

/** Reopens a failed task with all that its failing failed. @throws ClientError when it cannot come back */
export async function retryTask(context: Context, given: string, { json, reason }: ChangeOptions): Promise<void> {
  const { id } = await findTask(context, given);
  const store = taskStore(await context.connections.database());
  const retried = await store.retry(id, `put back: ${reason ?? "an operator retried it"}`);
  if (json) {
    context.output.printJson({ id, ...retried });
  }
  if (retried.outcome !== "reopened") {
    const { text, advice, exitCode } = whyNot(id, retried);
    throw new ClientError(exitCode, text, advice);
  }
  if (!json) {
    const others = retried.reopened - 1;
    const more = others === 0 ? "" : `, and ${counted(others, "task", "tasks")} that failed with it`;
    context.output.print(`task ${id} is ${retried.status} again${more}`);
  }
}

/** Why a retry was refused, and what to do. */
export function whyNot(id: string, { outcome, status, because }: Retried) {
  const failed = (text: string, advice: string | null) => ({ text, advice, exitCode: EXIT.failed });
  switch (outcome) {
    case "unknown":
      return { text: `there is no task ${id}`, advice: null, exitCode: EXIT.notFound };
    case "caused":
      return failed(
        `task ${id} failed because task ${because} did`,
        `Retry that one, and this one comes back with it: gpu-pool task retry ${because}`,
      );
    case "parent_ended":
      return failed(
        `task ${id} cannot come back: its orchestrator task ${because} has ended for another reason`,
        `See gpu-pool task show ${because}`,
      );
    case "not_failed":
    case "reopened":
      return failed(`task ${id} is ${status}: only a failed task can be retried`, null);
  }
}
