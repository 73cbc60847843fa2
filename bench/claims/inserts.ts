import { performance } from "node:perf_hooks";
import { type Bed, CLIENTS, POOL } from "./bed.ts";

const BATCH = 100;
const BATCHES = 120;
const SINGLES = 3_000;
const PARAMS = '{"prompt": "a sunset over mountains", "num_frames": 81}';

/** Creates a table with the columns, defaults and key of `tasks`, without triggers and other indexes. */
export async function createPlainTable({ sql }: Bed): Promise<void> {
  await sql.query("create table plain_tasks (like tasks including defaults, primary key (id))");
}

/** Rows per second, in statements of a hundred rows from one client. */
export async function insertBatches({ clients }: Bed, table: "tasks" | "plain_tasks"): Promise<number> {
  const text = `insert into ${table} (task_type, pool, project_id, params)
    select 'generate_video', $1, '00000000-0000-0000-0000-000000000000', $2 from generate_series(1, ${BATCH})`;
  return await timed(BATCHES * BATCH, async () => {
    for (let batch = 0; batch < BATCHES; batch += 1) {
      await clients[0]!.query({ name: `${table}-batch`, text, values: [`${POOL}-inserts`, PARAMS] });
    }
  });
}

/** Rows per second, one row a statement, from all clients. */
export async function insertSingles({ clients }: Bed, table: "tasks" | "plain_tasks"): Promise<number> {
  const text = `insert into ${table} (task_type, pool, project_id, params)
    values ('generate_video', $1, '00000000-0000-0000-0000-000000000000', $2)`;
  let left = SINGLES;
  return await timed(SINGLES, async () => {
    const insert = async (client: number) => {
      while (left > 0) {
        left -= 1;
        await clients[client]!.query({ name: `${table}-single`, text, values: [`${POOL}-inserts`, PARAMS] });
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, (_, client) => insert(client)));
  });
}

async function timed(rows: number, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (rows * 1000) / (performance.now() - startedAt);
}
