import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { text as readStream } from "node:stream/consumers";
import { poolStore } from "../../../supabase/pool-store.ts";
import { type TaskStore, taskStore } from "../../../supabase/task-store.ts";
import { taskTypeStore } from "../../../supabase/task-types/task-type-store.ts";
import type { Context } from "../../context.ts";
import { localFile, withLocalFile } from "../../local/local-file.ts";
import { localTasks } from "../../local/local-tasks.ts";
import type { LocalOptions, PoolOptions } from "../../options.ts";
import { taskTypeTable } from "../../own-types.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { wholeTaskId } from "../../find-by-prefix.ts";
import { describePools } from "../../missing-pool.ts";
import { formatDuration } from "../../render/durations.ts";
import { renderResolved } from "../../render/resolved-task.ts";
import { type CheckedTask, checkTasks, unknownTypes, unknownTypeWarning } from "./check-params.ts";
import { type TaskFlags, tasksFromFlags } from "./task-flags.ts";
import { parsePrompts, parseTasks, type TaskInput } from "./task-input.ts";
import { progressBar, waitForTasks } from "./wait-for-tasks.ts";

const BATCH = 1_000;
/** Where a watch runs, it observes its pool every half minute. */
const UNOBSERVED_MS = 5 * 60_000;

export type SubmitOptions = PoolOptions &
  LocalOptions &
  TaskFlags & { readonly file?: string; readonly wait?: boolean; readonly open?: boolean; readonly dryRun?: boolean };

interface Given {
  readonly tasks: TaskInput[];
  /** Null: the flags. */
  readonly source: string | null;
}

export async function submitTasks(context: Context, given: SubmitOptions): Promise<void> {
  const file = localFile(context, given);
  const options = {
    ...given,
    ...(await wholeDependency(context, given, file)),
    wait: given.wait === true || given.open === true,
  };
  const read = await readTasks(context, options);
  const checked = await check(context, read, file);
  if (options.dryRun) {
    showResolved(context, checked, options.json === true);
    return;
  }
  const { tasks } = read;
  if (file !== null) {
    await submitToFile(context, options, file, tasks);
    return;
  }
  const { output } = context;
  const store = taskStore(await context.connections.database());
  // Where no pool is named, the database chooses it by the type of each task.
  const pool = options.pool !== undefined || context.env["GPU_POOL"] ? poolName(context, options) : null;
  const ids = await insertTasks(store, tasks, pool, (batch, done) => {
    if (!options.json && !options.wait) {
      output.print(batch);
    } else if (output.errIsTerminal && done < tasks.length) {
      output.progress(`${progressBar(done, tasks.length)} ${done} of ${tasks.length} submitted`);
    }
  });
  await warnOfIdlePools(context, tasks, ids);
  if (options.wait) {
    await waitForTasks(context, store, ids, options);
  } else if (options.json) {
    output.printJson({ ids });
  }
}

/** Null where nothing is to be replaced: no task is named, or its whole id is. */
async function wholeDependency(
  context: Context,
  { dependsOn }: SubmitOptions,
  file: string | null,
): Promise<{ dependsOn: string } | null> {
  if (dependsOn === undefined) {
    return null;
  }
  return { dependsOn: await wholeTaskId(context, dependsOn, file) };
}

async function submitToFile(context: Context, options: SubmitOptions, file: string, tasks: readonly TaskInput[]) {
  if (options.pool !== undefined) {
    throw new ClientError(EXIT.usage, "--pool: a file of tasks has no pools", "Leave out --pool.");
  }
  const rows = tasks.map((task) => ({ id: randomUUID(), ...task }));
  const ids = rows.map(({ id }) => id);
  const { find } = await taskTypeTable(context);
  await withLocalFile(file, true, async (database) => {
    const store = localTasks(database);
    store.submit(rows, find);
    if (options.wait) {
      await waitForTasks(context, store, ids, options);
    } else if (options.json) {
      context.output.printJson({ ids });
    } else {
      context.output.print(ids);
    }
  });
}

/**
 * The database is asked only about types that the table does not have.
 * @param file the file of tasks, which has no types of its own; null: there is a database
 */
async function check(context: Context, { tasks, source }: Given, file: string | null): Promise<CheckedTask[]> {
  const { find } = await taskTypeTable(context);
  const strange = unknownTypes(tasks, find);
  const ownTypes =
    strange.length === 0 || file !== null
      ? new Map<string, null>()
      : await taskTypeStore(await context.connections.database()).names();
  const checked = checkTasks(tasks, source, ownTypes, find);
  const warning = unknownTypeWarning(strange, ownTypes);
  if (warning !== null) {
    context.output.note(`gpu-pool: warning: ${warning}`);
  }
  return checked;
}

function showResolved({ output }: Context, checked: readonly CheckedTask[], json: boolean): void {
  if (json) {
    const tasks = checked.map(({ task, count, known }) => ({
      task_type: known?.type.name ?? task.task_type,
      count,
      parameters: known?.resolution.values ?? null,
      kept: known?.resolution.kept ?? task.params,
    }));
    output.printJson({ tasks });
    return;
  }
  for (const { task, count, known } of checked) {
    const alias = known === null || known.type.name === task.task_type ? "" : `, given as ${task.task_type}`;
    output.print(output.style("bold", `${count} × ${known?.type.name ?? task.task_type}${alias}`));
    output.print(
      known === null
        ? JSON.stringify(task.params)
        : renderResolved(known.resolution, output.size().columns, output.style),
    );
  }
  const cuts = checked.flatMap(({ known }) => (known === null ? [] : Object.values(known.resolution.values)));
  if (cuts.some(({ adjusted }) => adjusted !== null)) {
    output.note("The engine preview has no grid: it renders the size and length that were asked for.");
  }
  output.note("Nothing was submitted. Tasks are stored as they were given; the worker reads them so.");
}

/** Tasks of a pool that does not run would wait for ever. A failed check must not fail a submission that has succeeded. */
async function warnOfIdlePools(context: Context, tasks: readonly TaskInput[], ids: readonly string[]): Promise<void> {
  try {
    const database = await context.connections.database();
    const oneOfEachType = new Map(tasks.map(({ task_type: type }, index) => [type, ids[index] ?? ""]));
    const found = await taskStore(database).states([...oneOfEachType.values()]);
    const names = await poolStore(database).names();
    for (const pool of new Set(found.map((each) => each.pool))) {
      const record = names.includes(pool) ? await poolStore(database).find(pool) : null;
      const warning = idleWarning(pool, names, record?.observedAt ?? null, Date.now());
      if (warning !== null) {
        context.output.note(`gpu-pool: warning: ${warning}`);
      }
    }
  } catch (error) {
    context.output.note(`gpu-pool: whether the pool runs is not known: ${String(error)}`);
  }
}

/** @param observedAt ISO 8601; null: it was never observed */
export function idleWarning(
  pool: string,
  names: readonly string[],
  observedAt: string | null,
  nowMs: number,
): string | null {
  if (!names.includes(pool)) {
    return `these tasks wait for pool ${pool}, which has never run. ${describePools(names)}`;
  }
  const ageMs = observedAt === null ? 0 : nowMs - Date.parse(observedAt);
  return ageMs < UNOBSERVED_MS
    ? null
    : `these tasks wait for pool ${pool}, which nothing has observed for ${formatDuration(ageMs)}: gpu-pool status`;
}

async function readTasks({ stdin }: Context, options: SubmitOptions): Promise<Given> {
  if (options.prompts !== undefined) {
    const source = options.prompts === "-" ? "stdin" : options.prompts;
    const text = source === "stdin" ? await readStream(stdin) : await readText(source, "--prompts");
    return { tasks: tasksFromFlags(options, parsePrompts(text, source)), source };
  }
  if (options.file === undefined && (options.prompt !== undefined || options.param !== undefined)) {
    return { tasks: tasksFromFlags(options), source: null };
  }
  if (options.file === undefined && stdin.isTTY) {
    throw new ClientError(
      EXIT.usage,
      "nothing to submit",
      "Give --prompt <text>, --prompts or --file <path>, or JSON on stdin.",
    );
  }
  if (options.file === undefined || options.file === "-") {
    return { tasks: parseTasks(await readStream(stdin), "stdin"), source: "stdin" };
  }
  return { tasks: parseTasks(await readText(options.file, "--file"), options.file), source: options.file };
}

async function readText(path: string, flag: string): Promise<string> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    throw new ClientError(EXIT.usage, `${path} cannot be read (${code})`, `Check ${flag}.`, { cause: error });
  });
}

async function insertTasks(
  store: TaskStore,
  tasks: readonly TaskInput[],
  pool: string | null,
  onInserted: (ids: readonly string[], done: number) => void,
): Promise<string[]> {
  // The ids are made here, so that each is printed in the order of its input.
  const rows = tasks.map((task) => ({ id: randomUUID(), priority: 0, ...task, ...(pool !== null && { pool }) }));
  const ids: string[] = [];
  for (let start = 0; start < rows.length; start += BATCH) {
    const batch = rows.slice(start, start + BATCH);
    try {
      await store.submit(batch);
    } catch (error) {
      if (start === 0) {
        throw error;
      }
      const advice = `Submit the rest again, from task ${start + 1} on.`;
      const reason = error instanceof Error ? error.message : String(error);
      throw new ClientError(EXIT.failed, `${start} of ${rows.length} tasks are in the queue; then ${reason}`, advice, {
        cause: error,
      });
    }
    ids.push(...batch.map(({ id }) => id));
    onInserted(
      batch.map(({ id }) => id),
      ids.length,
    );
  }
  return ids;
}
