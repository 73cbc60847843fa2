import { DatabaseError } from "../../../supabase/database-error.ts";
import { type Retried, taskStore } from "../../../supabase/task-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findTask, findTaskIn } from "../../find-by-prefix.ts";
import { localFile, withLocalFile } from "../../local/local-file.ts";
import { localTasks } from "../../local/local-tasks.ts";
import type { JsonOptions, LocalOptions } from "../../options.ts";
import { counted } from "../../render/rows.ts";

export type CancelOptions = JsonOptions & LocalOptions;

export interface RetryOptions extends CancelOptions {
  readonly reason?: string;
}

/** @throws ClientError when the task is complete or failed already, or there is none */
export async function cancelTask(context: Context, given: string, options: CancelOptions): Promise<void> {
  const file = localFile(context, options);
  const { id, status } = file === null ? await cancelStored(context, given) : await cancelLocal(file, given);
  if (options.json) {
    context.output.printJson({ id, status: "Cancelled", was: status });
  } else {
    context.output.print(status === "Cancelled" ? `task ${id} was cancelled already` : `task ${id} cancelled`);
  }
}

interface Found {
  readonly id: string;
  /** Before the change. */
  readonly status: string;
}

async function cancelStored(context: Context, given: string): Promise<Found> {
  const { id, status } = await findTask(context, given);
  try {
    await taskStore(await context.connections.database()).cancel(id);
  } catch (error) {
    throw error instanceof DatabaseError && error.code === "PT409" ? hasEnded(id, error) : error;
  }
  return { id, status };
}

async function cancelLocal(file: string, given: string): Promise<Found> {
  return await withLocalFile(file, false, async (database) => {
    const store = localTasks(database);
    const { id, status } = await findTaskIn(given, async (limit) => store.tasksWithPrefix(given, limit));
    if (!store.cancel(id) && status !== "Cancelled") {
      throw hasEnded(id);
    }
    return { id, status };
  });
}

function hasEnded(id: string, cause?: Error): ClientError {
  return new ClientError(EXIT.failed, `task ${id} has ended already`, `gpu-pool task show ${id.slice(0, 8)}`, {
    cause,
  });
}

/** Reopens a failed task with all that its failing failed. @throws ClientError when it cannot come back */
export async function retryTask(context: Context, given: string, options: RetryOptions): Promise<void> {
  const { json } = options;
  const reason = `put back: ${options.reason ?? "an operator retried it"}`;
  const file = localFile(context, options);
  const { id, ...retried } =
    file === null ? await retryStored(context, given, reason) : await retryLocal(file, given, reason);
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

async function retryStored(context: Context, given: string, reason: string): Promise<Retried & { id: string }> {
  const { id } = await findTask(context, given);
  return { id, ...(await taskStore(await context.connections.database()).retry(id, reason)) };
}

async function retryLocal(file: string, given: string, reason: string): Promise<Retried & { id: string }> {
  return await withLocalFile(file, false, async (database) => {
    const store = localTasks(database);
    const { id } = await findTaskIn(given, async (limit) => store.tasksWithPrefix(given, limit));
    return { id, ...store.retry(id, reason) };
  });
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
