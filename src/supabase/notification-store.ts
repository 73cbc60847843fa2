import { z } from "zod";
import type { Database } from "./client.ts";
import { answerOf, countOf, quoted, readAll, sendable } from "./requests.ts";
import { type NewRow, type Row, TABLES } from "./tables.ts";

const SHOWN = 200;

export type Endpoint = Omit<Row<"notification_endpoints">, "secret">;
export type Format = "json" | "slack";
export type GivenUp = Omit<Row<"outbox">, "next_attempt_at" | "delivered_at">;

export interface NotificationStore {
  /** @returns the endpoint's id, and the key that signs what is sent to it. */
  addEndpoint(endpoint: NewRow<"notification_endpoints">): Promise<{ readonly id: string; readonly secret: string }>;
  /** Makes, replaces or (null) removes the endpoint that gets all alerts by the setting ALERT_WEBHOOK_URL. */
  setAlertWebhook(url: string | null, format: Format): Promise<void>;
  /** At most 200, the oldest first, without their keys. A setting's address may be a secret: only its host is shown. */
  endpoints(): Promise<Endpoint[]>;
  /** Notifications that wait for it are dropped. @returns false when there was no such endpoint. */
  removeEndpoint(id: string): Promise<boolean>;
  /** At most 200 notifications that are not tried any more, the newest first. */
  givenUp(): Promise<GivenUp[]>;
  /** Makes given up notifications due again. @returns how many. */
  retry(ids: readonly number[] | "all"): Promise<number>;
}

/** The tables notification_endpoints and outbox, as operators use them. Every call throws DatabaseError. */
export function notificationStore(database: Database): NotificationStore {
  const { [TABLES]: client } = database;
  return {
    async setAlertWebhook(url, format) {
      await database.call("set_alert_webhook", { p_url: url, p_format: format }, z.null());
    },
    async addEndpoint(endpoint) {
      const row = sendable("notification_endpoints", endpoint);
      const request = client.from("notification_endpoints").insert(row).select("id, secret").single();
      return await answerOf("notification_endpoints", request);
    },
    async endpoints() {
      const columns = "id, project_id, pool, kinds, format, setting, enabled, url, created_at";
      const request = (count: number, last: Endpoint | undefined) => {
        let rows = client.from("notification_endpoints").select(columns);
        if (last !== undefined) {
          const { created_at: at, id } = last;
          rows = rows.gte("created_at", at).or(`created_at.gt.${quoted(at)},id.gt.${id}`);
        }
        return rows.order("created_at").order("id").limit(count);
      };
      const rows = await readAll<Endpoint>("notification_endpoints", request, SHOWN);
      return rows.map((row) => (row.setting === null ? row : { ...row, url: `${new URL(row.url).origin}/…` }));
    },
    async removeEndpoint(id) {
      const request = client.from("notification_endpoints").delete().eq("id", id).select("id");
      return (await answerOf("notification_endpoints", request)).length > 0;
    },
    async givenUp() {
      const columns = "id, kind, project_id, pool, payload, attempts, created_at, dead_at, last_error, endpoint_id";
      const request = (count: number, last: GivenUp | undefined) => {
        const dead = client.from("outbox").select(columns).not("dead_at", "is", null);
        const after = last === undefined ? dead : dead.lt("id", last.id);
        return after.order("id", { ascending: false }).limit(count);
      };
      return await readAll<GivenUp>("outbox", request, SHOWN);
    },
    async retry(ids) {
      // Long past by any clock: due at once.
      const again = { dead_at: null, attempts: 0, next_attempt_at: "2000-01-01T00:00:00Z" };
      const dead = client.from("outbox").update(again, { count: "exact" }).not("dead_at", "is", null);
      return await countOf("outbox", ids === "all" ? dead : dead.in("id", ids));
    },
  };
}
