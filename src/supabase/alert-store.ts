import { z } from "zod";
import type { Alert, Condition } from "../contract/alerts.ts";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";
import { readAll, shaped } from "./requests.ts";
import { TABLES } from "./tables.ts";

const SHOWN = 200;

const alert: z.ZodType<Alert> = camelized(
  z.object({
    kind: z.string(),
    subject: z.string(),
    pool: z.string().nullable(),
    message: z.string(),
    opened_at: z.string(),
    closed_at: z.string().nullable(),
    what_to_do: z.string(),
  }),
);

export interface AlertStore {
  /**
   * Opens it unless it is open; a changed message is stored without a notification.
   * @param pool null: it concerns every pool
   * @returns whether it was opened now
   */
  open(condition: Condition, pool: string | null): Promise<boolean>;
  /** @returns whether it was open. */
  close(kind: string, subject: string): Promise<boolean>;
  /** Of the pool's alerts of these kinds, exactly the current ones are open afterwards. */
  settle(pool: string | null, kinds: readonly string[], current: readonly Condition[]): Promise<void>;
  /** At most 200, the newest first. @param pool undefined: of all pools; those that concern every pool always belong. */
  list(options: { readonly pool?: string | undefined; readonly closed?: boolean | undefined }): Promise<Alert[]>;
}

/** The tables alerts and alert_kinds. Every call throws DatabaseError. */
export function alertStore(database: Database): AlertStore {
  return {
    open: ({ kind, subject, message }, pool) =>
      database.call("open_alert", { p_kind: kind, p_subject: subject, p_pool: pool, p_message: message }, z.boolean()),
    close: (kind, subject) => database.call("close_alert", { p_kind: kind, p_subject: subject }, z.boolean()),
    async settle(pool, kinds, current) {
      await database.call("settle_alerts", { p_pool: pool, p_kinds: kinds, p_current: current }, z.null());
    },
    async list({ pool, closed = false }) {
      const columns = "id, kind, subject, pool, message, opened_at, closed_at, alert_kinds(what_to_do)";
      const request = (count: number, last: { readonly id: number } | undefined) => {
        const all = database[TABLES].from("alerts").select(columns);
        const ofPool = pool === undefined ? all : all.or(`pool.eq.${pool},pool.is.null`);
        const chosen = closed ? ofPool : ofPool.is("closed_at", null);
        const after = last === undefined ? chosen : chosen.lt("id", last.id);
        return after.order("id", { ascending: false }).limit(count);
      };
      const rows = await readAll<{ id: number; alert_kinds: { what_to_do: string } }>("alerts", request, SHOWN);
      const flat = rows.map(({ alert_kinds: advice, ...row }) => ({ ...row, ...advice }));
      return shaped("alerts", z.array(alert), flat);
    },
  };
}
