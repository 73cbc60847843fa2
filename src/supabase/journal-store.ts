import { z } from "zod";
import type { Database } from "./client.ts";
import { readAll } from "./requests.ts";
import { type Row, TABLES } from "./tables.ts";

export type JournalEntry = Row<"pool_events">;

export interface JournaledDecision extends Pick<JournalEntry, "id" | "at" | "reason" | "decision_id"> {
  readonly details: unknown;
}

export type JournaledPlace = Pick<JournalEntry, "id" | "at" | "reason" | "worker_id">;

const PLACE_KINDS = ["pod.asked", "placement.none"];
/** `kind` without its prefix: the message, or ignored, folded or repeated. */
export type JournaledMessage = Pick<JournalEntry, "at" | "kind" | "reason">;

export interface JournalStore {
  /** The last decisions of a pool, the newest first. */
  decisions(pool: string, count: number): Promise<JournaledDecision[]>;
  /** What was last said of where pods were asked for, and of there being no place, the newest first. */
  places(pool: string, count: number): Promise<JournaledPlace[]>;
  /** The last messages to a pool with what became of each, the newest first. */
  messages(pool: string, count: number): Promise<JournaledMessage[]>;
  /** The records that were kept of a worker when it failed, the newest first, at most `limit`. */
  diagnostics(worker: string, limit: number): Promise<Row<"worker_diagnostics">[]>;
  /** Entries about a pool after the entry of this id, the oldest first. */
  since(pool: string, id: number): Promise<JournalEntry[]>;
  /** The newest workers of the last hour that failed before they were ready. */
  failedBoots(pool: string, count: number): Promise<FailedBoot[]>;
}

/** A worker that failed before it was ready. */
export type FailedBoot = z.infer<typeof failedBoot>;

const failedBoot = z.object({
  worker: z.string(),
  /** ISO 8601. */
  at: z.string(),
  reason: z.string(),
  stage: z.string().nullable().catch(null),
  /** The last lines of its pod, the oldest first. */
  lines: z.array(z.string()),
});

/** Another version may have written a pod's log in another shape: it then counts as none. */
const failedBoots = z.array(
  z.preprocess((row: Record<string, unknown>) => ({ ...row, lines: linesOf(row["pod_log"]) }), failedBoot),
);

const podLog = z.object({ lines: z.array(z.object({ source: z.string(), text: z.string() })) });

function linesOf(log: unknown): string[] {
  const read = podLog.safeParse(log);
  return read.success ? read.data.lines.map(({ source, text }) => `${source}: ${text}`) : [];
}

/** The table pool_events, as people read it. Every call throws DatabaseError. */
export function journalStore(database: Database): JournalStore {
  const { [TABLES]: client } = database;
  return {
    failedBoots: (pool, count) => database.call("failed_boots", { p_pool: pool, p_limit: count }, failedBoots),
    async decisions(pool, count) {
      const columns = "id, at, reason, decision_id, details";
      const request = (rows: number, last: JournaledDecision | undefined) => {
        const decisions = client.from("pool_events").select(columns).eq("pool", pool).eq("kind", "decision");
        const after = last === undefined ? decisions : decisions.lt("id", last.id);
        return after.order("id", { ascending: false }).limit(rows);
      };
      return await readAll<JournaledDecision>("read decisions", request, count);
    },
    async places(pool, count) {
      const columns = "id, at, reason, worker_id";
      return await readAll<JournaledPlace>(
        "read places",
        (rows, last) => {
          const places = client.from("pool_events").select(columns).eq("pool", pool).in("kind", PLACE_KINDS);
          const after = last === undefined ? places : places.lt("id", last.id);
          return after.order("id", { ascending: false }).limit(rows);
        },
        count,
      );
    },
    messages: (pool, count) => lastMessages(database, pool, count),
    diagnostics: (worker, limit) => lastDiagnostics(database, worker, limit),
    async since(pool, id) {
      return await readAll<JournalEntry>("read events", (count, last) => {
        const later = client
          .from("pool_events")
          .select("*")
          .eq("pool", pool)
          .gt("id", last?.id ?? id);
        return later.order("id").limit(count);
      });
    },
  };
}

async function lastMessages({ [TABLES]: client }: Database, pool: string, count: number): Promise<JournaledMessage[]> {
  const rows = await readAll<JournaledMessage & { readonly id: number }>(
    "read messages",
    (rest, last) => {
      const messages = client.from("pool_events").select("id, at, kind, reason").eq("pool", pool);
      const named = messages.like("kind", "message.%");
      const before = last === undefined ? named : named.lt("id", last.id);
      return before.order("id", { ascending: false }).limit(rest);
    },
    count,
  );
  return rows.map(({ at, kind, reason }) => ({ at, kind: kind.replace("message.", ""), reason }));
}

async function lastDiagnostics(
  { [TABLES]: client }: Database,
  worker: string,
  count: number,
): Promise<Row<"worker_diagnostics">[]> {
  return await readAll<Row<"worker_diagnostics">>(
    "read diagnostics",
    (rest, last) => {
      const collected = client.from("worker_diagnostics").select("*").eq("worker_id", worker);
      const before = last === undefined ? collected : collected.lt("id", last.id);
      return before.order("id", { ascending: false }).limit(rest);
    },
    count,
  );
}
