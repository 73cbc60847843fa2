import type { Database } from "../client.ts";
import { readAll, readOne } from "../requests.ts";
import { type Row, TABLES } from "../tables.ts";
import { type Tail, tailOf } from "./tail.ts";

export type EventRow = Row<"pool_events">;

export interface EventFilter {
  readonly pool: string;
  /** A whole kind, such as `worker.gone`, or its first word, such as `worker`. */
  readonly kind?: string;
  readonly worker?: string;
  readonly task?: string;
  /** ISO 8601. */
  readonly since?: string;
}

/** Reads the journal of one pool. Every call throws DatabaseError. */
export function createEventReader(database: Database, filter: EventFilter): Tail<EventRow> {
  const name = "pool_events";
  return tailOf<EventRow>({
    async newestId() {
      const request = () => database[TABLES].from(name).select("id").order("id", { ascending: false }).limit(1);
      return (await readOne(name, request))[0]?.id ?? 0;
    },
    async below(id, limit) {
      return await readAll<EventRow>(
        name,
        (count, last) =>
          matching(database, filter)
            .lt("id", last?.id ?? id)
            .order("id", { ascending: false })
            .limit(count),
        limit,
      );
    },
    async above(id) {
      return await readAll<EventRow>(name, (count, last) =>
        matching(database, filter)
          .gt("id", last?.id ?? id)
          .order("id")
          .limit(count),
      );
    },
  });
}

function matching(database: Database, { pool, kind, worker, task, since }: EventFilter) {
  let events = database[TABLES].from("pool_events").select("*").eq("pool", pool);
  events = worker === undefined ? events : events.eq("worker_id", worker);
  events = task === undefined ? events : events.eq("task_id", task);
  events = since === undefined ? events : events.gte("at", since);
  return kind === undefined ? events : events.or(`kind.eq.${kind},kind.like.${kind}.*`);
}
