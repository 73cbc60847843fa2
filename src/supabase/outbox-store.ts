import { z } from "zod";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";

const notification = camelized(
  z.object({
    id: z.number(),
    kind: z.string(),
    payload: z.record(z.string(), z.unknown()),
    created_at: z.string(),
    attempts: z.number(),
    endpoint_id: z.string(),
    url: z.string(),
    secret: z.string(),
    format: z.enum(["json", "slack"]),
  }),
);

/** One notification for one endpoint. `attempts` counts the one that is about to be made. */
export type Notification = z.infer<typeof notification>;

export interface OutboxStore {
  /** Due notifications; no other caller gets them for a minute. They hold secrets: never pass them to a workflow. */
  take(limit: number): Promise<Notification[]>;
  delivered(id: number): Promise<void>;
  /** @param retrySec until the next attempt, in seconds; null: there is none. */
  failed(id: number, error: string, retrySec: number | null): Promise<void>;
  /** Deletes what was delivered longer ago. @returns rows deleted now, and whether there is more. */
  clean(retentionHours: number): Promise<{ deleted: number; more: boolean }>;
}

/** The table outbox, as its sender uses it. Every call throws DatabaseError. */
export function outboxStore(database: Database): OutboxStore {
  return {
    take: (limit) => database.call("outbox_take", { p_limit: limit }, z.array(notification)),
    async delivered(id) {
      await database.call("outbox_delivered", { p_id: id }, z.boolean());
    },
    async failed(id, error, retrySec) {
      const args = { p_id: id, p_error: error, p_retry_sec: retrySec ?? 0, p_dead: retrySec === null };
      await database.call("outbox_failed", args, z.boolean());
    },
    clean: (retentionHours) =>
      database.call(
        "outbox_clean",
        { p_retention_hours: retentionHours },
        z.object({ deleted: z.number(), more: z.boolean() }),
      ),
  };
}
