import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "../../../supabase/database-error.ts";
import type { TaskState, TaskStore } from "../../../supabase/task-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";

const POLL_MS = 1_000;
/** As a shell reports a process that Ctrl-C ended. */
const INTERRUPTED = 130;
const BAR_WIDTH = 24;

type States = Pick<TaskStore, "states">;

export interface WaitOptions {
  readonly json?: boolean;
  /** Opens the results at the end. */
  readonly open?: boolean;
}

/**
 * Waits until every task has ended and prints the results' URLs. Progress goes to stderr; outages are waited out. Ctrl-C
 * prints the ids: without them nobody could ask for the results.
 * @throws ClientError when any task did not complete
 */
export async function waitForTasks(
  context: Context,
  store: States,
  ids: readonly string[],
  { json = false, open = false }: WaitOptions,
): Promise<void> {
  const { output } = context;
  const states = new Map<string, TaskState>();
  let shown = "";
  const printIds = () => {
    if (json) {
      output.printJson({ ids });
    } else {
      output.print(ids);
    }
    output.note("gpu-pool: the tasks stay in the queue: gpu-pool tasks");
    process.exit(INTERRUPTED);
  };
  process.once("SIGINT", printIds);
  for (;;) {
    const open = ids.filter((id) => !hasEnded(states.get(id)));
    if (open.length === 0) {
      break;
    }
    let line: string;
    try {
      for (const state of await readStates(store, open)) {
        states.set(state.id, state);
      }
      const ended = ids.filter((id) => hasEnded(states.get(id))).length;
      line = `${output.errIsTerminal ? `${progressBar(ended, ids.length)} ` : ""}${summarise(ids, states)}`;
    } catch (error) {
      if (!(error instanceof DatabaseError) || (error.status !== 0 && error.status < 500)) {
        throw error;
      }
      line = `the database does not answer (${error.operation}); still waiting`;
    }
    if (line !== shown) {
      shown = line;
      output.progress(line);
    }
    if (ids.some((id) => !hasEnded(states.get(id)))) {
      await sleep(POLL_MS);
    }
  }
  process.off("SIGINT", printIds);
  const tasks = ids.map((id) => states.get(id)).filter((state) => state !== undefined);
  if (open) {
    const { openResults } = await import("./result/open-results.ts");
    const results = tasks.flatMap(({ status, url }) => (status === "Complete" && url !== null ? [url] : []));
    await openResults(context, results);
  }
  report(context, tasks, json);
}

function report({ output }: Context, tasks: readonly TaskState[], json: boolean): void {
  if (json) {
    output.printJson({ tasks });
  } else {
    for (const { url, id } of tasks.filter(({ status }) => status === "Complete")) {
      output.print(url ?? id);
    }
  }
  const failed = tasks.filter(({ status }) => status !== "Complete");
  for (const { id, status, error } of failed) {
    output.note(`${id} ${status}${error === null ? "" : `: ${plain(error)}`}`);
  }
  if (failed.length > 0) {
    throw new ClientError(EXIT.failed, `${failed.length} of ${tasks.length} tasks did not complete`);
  }
}

async function readStates(store: States, ids: readonly string[]): Promise<TaskState[]> {
  const found = new Map((await store.states(ids)).map((state) => [state.id, state]));
  return ids.map(
    (id) => found.get(id) ?? { id, status: "Deleted", pool: "-", url: null, error: "its row is no longer there" },
  );
}

function hasEnded(state: TaskState | undefined): boolean {
  return state !== undefined && state.status !== "Queued" && state.status !== "In Progress";
}

/** Such as `[████████░░░░░░░░]`. */
export function progressBar(done: number, total: number): string {
  const filled = Math.floor((BAR_WIDTH * Math.min(done, total)) / Math.max(1, total));
  return `[${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)}]`;
}

/** How far a set of tasks is, in words. */
export function summarise(ids: readonly string[], states: ReadonlyMap<string, Pick<TaskState, "status">>): string {
  const count = (test: (status: string) => boolean) =>
    ids.filter((id) => test(states.get(id)?.status ?? "Queued")).length;
  const complete = count((status) => status === "Complete");
  const parts = [
    { n: count((status) => status === "In Progress"), word: "running" },
    { n: count((status) => status === "Queued"), word: "queued" },
    { n: count((status) => !["Complete", "In Progress", "Queued"].includes(status)), word: "failed" },
  ].flatMap(({ n, word }) => (n > 0 ? [`${n} ${word}`] : []));
  return [`${complete} of ${ids.length} complete`, ...parts].join(", ");
}
