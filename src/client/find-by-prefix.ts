import { fleetStore, type SeenWorker } from "../supabase/fleet/fleet-store.ts";
import { type ListedTask, taskStore } from "../supabase/task-store.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";
import { withLocalFile } from "./local/local-file.ts";
import { localTasks } from "./local/local-tasks.ts";
import { plain } from "./render/output.ts";

/** An ambiguous prefix lists so many candidates. */
const CANDIDATES = 8;

/** The task whose id is this or begins so. @throws ClientError when there is none, or more than one */
export async function findTask(context: Context, given: string): Promise<ListedTask> {
  return await findTaskIn(given, async (limit) =>
    taskStore(await context.connections.database()).tasksWithPrefix(given, limit),
  );
}

/** A whole id may be of a row that was deleted, but what was written about it may still be there. */
const WHOLE_TASK_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/**
 * The id of the task that this text names: a whole id, whether or not there is such a task, or the beginning of one.
 * @param file the file of tasks to look in; null: the database
 * @throws ClientError
 */
export async function wholeTaskId(context: Context, given: string, file: string | null = null): Promise<string> {
  if (WHOLE_TASK_ID.test(given)) {
    return given;
  }
  if (file === null) {
    return (await findTask(context, given)).id;
  }
  return await withLocalFile(file, false, async (database) => {
    const store = localTasks(database);
    return (await findTaskIn(given, (limit) => Promise.resolve(store.tasksWithPrefix(given, limit)))).id;
  });
}

/** @param search at most so many tasks whose id begins with `given`. @throws ClientError as findTask does */
export async function findTaskIn(
  given: string,
  search: (limit: number) => Promise<readonly ListedTask[]>,
): Promise<ListedTask> {
  const advice = "gpu-pool tasks lists them.";
  if (!/^[\da-f][\da-f-]{0,35}$/i.test(given)) {
    throw new ClientError(EXIT.usage, `${plain(given)} is no task's id, nor the beginning of one`, advice);
  }
  const found = await search(CANDIDATES + 1);
  return theOne("task", given, advice, found, ({ status, task_type: type }) => `${status} ${type}`);
}

/** The worker whose id is this or begins so, also one that is gone. @throws ClientError when there is none, or more than one */
export async function findWorker(context: Context, given: string): Promise<SeenWorker> {
  const found = await fleetStore(await context.connections.database()).workersWithPrefix(given, CANDIDATES + 1);
  return theOne("worker", given, "gpu-pool workers lists them.", found, ({ status }) => status ?? "");
}

export function theOne<Row extends { readonly id: string }>(
  what: string,
  given: string,
  advice: string,
  found: readonly Row[],
  describe: (row: Row) => string,
): Row {
  const exact = found.find(({ id }) => id === given.toLowerCase());
  const [only, second] = found;
  if (exact !== undefined) {
    return exact;
  }
  if (only === undefined) {
    throw new ClientError(EXIT.notFound, `there is no ${what} whose id is ${plain(given)} or begins so`, advice);
  }
  if (second === undefined) {
    return only;
  }
  const lines = found.slice(0, CANDIDATES).map((row) => `  ${plain(row.id)}  ${plain(describe(row))}`);
  const more = found.length > CANDIDATES ? ["  …"] : [];
  throw new ClientError(
    EXIT.usage,
    [`more than one ${what} has an id that begins with ${plain(given)}:`, ...lines, ...more].join("\n"),
    "Give more of it.",
  );
}
