import type { Database } from "./client.ts";
import { readAll } from "./requests.ts";
import { type Row, TABLES } from "./tables.ts";

export type JournalEntry = Row<"pool_events">;

export interface JournaledDecision extends Pick<JournalEntry, "at" | "reason" | "decision_id"> {
  readonly details: unknown;
}

export interface JournalStore {
  /** The last decisions of a pool, the newest first. */
  decisions(pool: string, count: number): Promise<JournaledDecision[]>;
  /** Entries about a pool after the entry of this id, the oldest first. */
  since(pool: string, id: number): Promise<JournalEntry[]>;
}

/** The table pool_events, as people read it. Every call throws DatabaseError. */
export function journalStore({ [TABLES]: client }: Database): JournalStore {
  return {
    async decisions(pool, count) {
      const columns = "at, reason, decision_id, details";
      const request = (from: number, to: number) => {
        const decisions = client.from("pool_events").select(columns).eq("pool", pool).eq("kind", "decision");
        return decisions.order("id", { ascending: false }).range(from, to);
      };
      return await readAll("read decisions", request, count);
    },
    async since(pool, id) {
      return await readAll<JournalEntry>("read events", (from, to, last) => {
        const later = client
          .from("pool_events")
          .select("*")
          .eq("pool", pool)
          .gt("id", last?.id ?? id);
        return later.order("id").limit(to - from + 1);
      });
    },
  };
}
