import { z } from "zod";
import type { Database } from "../client.ts";
import { readOne, shaped } from "../requests.ts";
import { TABLES } from "../tables.ts";
import type { ListedTask, ListedTaskFilter } from "../task-store.ts";

/** The most that one call of list_tasks answers. */
const PAGE = 1_000;

const rows = z.array(z.custom<ListedTask>());

/** The newest tasks, without the large columns; left out, `limit` is the server's largest page. @throws DatabaseError */
export async function listTasks(database: Database, filter: ListedTaskFilter): Promise<ListedTask[]> {
  const { status, type, pool, projectId, since, limit = PAGE } = filter;
  const listed: ListedTask[] = [];
  while (listed.length < limit) {
    const wanted = Math.min(PAGE, limit - listed.length);
    const last = listed.at(-1);
    const args = {
      p_limit: wanted,
      p_status: status === undefined ? null : [...status],
      p_type: type ?? null,
      p_pool: pool ?? null,
      p_project: projectId ?? null,
      p_since: since ?? null,
      p_before: last?.created_at ?? null,
      p_after: last?.id ?? null,
    };
    const answer = await readOne("list tasks", () => database[TABLES].rpc("list_tasks", args));
    const page = shaped("list tasks", rows, answer);
    listed.push(...page);
    // One JSON value is not cut by the server's limit of rows, so a short page is the last one.
    if (page.length < wanted) {
      break;
    }
  }
  return listed;
}
