import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError, type Database } from "../../../supabase/client.ts";
import { answerOf } from "../../connections.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";

const POLL_MS = 1_000;
/** Keeps the request's URL below 8 KB. */
const IDS_PER_REQUEST = 150;

export interface TaskState {
  readonly id: string;
  readonly status: string;
  readonly url: string | null;
  readonly error: string | null;
}

/**
 * Waits until every task has ended and prints the results' URLs. Progress goes to stderr; outages are waited out.
 * @throws ClientError when any task did not complete
 */
export async function waitForTasks(context: Context, database: Database, ids: readonly string[], json: boolean) {
  const { output } = context;
  const states = new Map<string, TaskState>();
  let shown = "";
  for (;;) {
    const open = ids.filter((id) => !hasEnded(states.get(id)));
    if (open.length === 0) {
      break;
    }
    let line: string;
    try {
      for (let start = 0; start < open.length; start += IDS_PER_REQUEST) {
        for (const state of await readStates(database, open.slice(start, start + IDS_PER_REQUEST))) {
          states.set(state.id, state);
        }
      }
      line = summarise(ids, states);
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
  report(
    context,
    ids.map((id) => states.get(id)).filter((state) => state !== undefined),
    json,
  );
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

async function readStates(database: Database, ids: readonly string[]): Promise<TaskState[]> {
  const columns = "id, status, error_message, output_location, video_url:result_data->>video_url";
  const { data } = await answerOf(
    "read tasks",
    database.client
      .from("tasks")
      .select(columns)
      .in("id", [...ids]),
  );
  const rows = (data ?? []) as unknown as readonly Record<string, string | null>[];
  const byId = new Map(rows.map((row) => [row["id"], row]));
  return ids.map((id) => {
    const row = byId.get(id);
    return row === undefined
      ? { id, status: "Deleted", url: null, error: "its row is no longer there" }
      : {
          id,
          status: row["status"] ?? "",
          url: row["video_url"] ?? row["output_location"] ?? null,
          error: row["error_message"] ?? null,
        };
  });
}

function hasEnded(state: TaskState | undefined): boolean {
  return state !== undefined && state.status !== "Queued" && state.status !== "In Progress";
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
