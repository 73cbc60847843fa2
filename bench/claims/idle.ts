import { performance } from "node:perf_hooks";
import { type Bed, CLIENTS } from "./bed.ts";

const POLLS = 6_000;

/** Polls per second by all clients, each a claim that finds an empty queue. */
export async function pollIdle(bed: Bed): Promise<number> {
  return await poll(bed, "idle-claim", "select claim_task($1) as answer", (client) => [bed.workers[client]]);
}

/** As many statements per second that read nothing. */
export async function selectOne(bed: Bed): Promise<number> {
  return await poll(bed, "select-1", "select 1", () => []);
}

/**
 * Bytes that a thousand idle claims write ahead: the least of five rounds, because the server also writes on its own. The
 * bed's server should run no autovacuum.
 */
export async function idleWalBytes(bed: Bed): Promise<number> {
  const position = async () => {
    const { rows } = await bed.sql.query<{ bytes: string }>(
      "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as bytes",
    );
    return Number(rows[0]!.bytes);
  };
  const written: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const before = await position();
    for (let n = 0; n < 1_000; n += 1) {
      const { rows } = await bed.clients[0]!.query("select claim_task($1) as answer", [bed.workers[0]]);
      requireIdle(rows[0]);
    }
    written.push((await position()) - before);
  }
  return Math.min(...written);
}

async function poll(bed: Bed, name: string, text: string, valuesOf: (client: number) => unknown[]): Promise<number> {
  let left = POLLS;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      while (left > 0) {
        left -= 1;
        const { rows } = await bed.clients[client]!.query({ name, text, values: valuesOf(client) });
        requireIdle(rows[0]);
      }
    }),
  );
  return (POLLS * 1000) / (performance.now() - startedAt);
}

function requireIdle(row: { readonly answer?: { readonly task: unknown } }): void {
  if (row.answer !== undefined && row.answer.task !== null) {
    throw new Error("an idle claim found a task");
  }
}
