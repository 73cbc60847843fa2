import { z } from "zod";
import type { Database } from "../client.ts";
import { readAll, readOne, shaped } from "../requests.ts";
import { TABLES } from "../tables.ts";

/** A change of a pool's own settings, as the journal has it. */
export interface SettingChange {
  /** ISO 8601. */
  readonly at: string;
  /** Who sent it, as the sender says; null: it does not say. */
  readonly by: string | null;
  /** Names and values; null took one away. */
  readonly patch: Readonly<Record<string, unknown>>;
}

const changes = z.array(
  z
    .object({
      at: z.string(),
      details: z.object({ patch: z.record(z.string(), z.unknown()).catch({}), by: z.string().nullable().catch(null) }),
    })
    .transform(({ at, details }) => ({ at, ...details })),
);

/** The last changes of a pool's own settings, the newest first. @throws DatabaseError */
export async function settingChanges(database: Database, pool: string, count: number): Promise<SettingChange[]> {
  const rows = await readAll<{ id: number }>(
    "read changes of settings",
    (rest, last) => {
      const events = database[TABLES].from("pool_events").select("id, at, details").eq("pool", pool);
      const named = events.eq("kind", "message.reconfigure");
      return (last === undefined ? named : named.lt("id", last.id)).order("id", { ascending: false }).limit(rest);
    },
    count,
  );
  return shaped("read changes of settings", changes, rows);
}

/**
 * When the Temporal worker started whose environment rules the pool, ISO 8601; null: none has watched it yet.
 * @throws DatabaseError
 */
export async function environmentSince(database: Database, pool: string): Promise<string | null> {
  const request = () => database[TABLES].from("pools").select("environment_at").eq("name", pool).maybeSingle();
  return (await readOne("settings", request))?.environment_at ?? null;
}
