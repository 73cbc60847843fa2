import { z } from "zod";
import type { Explanation } from "../../../contract/messages.ts";
import type { Action, Snapshot } from "../../../contract/plan.ts";
import type { Database } from "../../../supabase/client.ts";
import { explain } from "../../../contract/explanations.ts";
import { answerOf } from "../../connections.ts";
import { startCommand } from "../../render/start-command.ts";
import { ClientError, EXIT } from "../../errors.ts";

const order = z.looseObject({ reason: z.string() });
const action = z.union([
  z.looseObject({ kind: z.literal("spawn"), count: z.number(), reason: z.string() }),
  z.looseObject({
    kind: z.literal("signal"),
    worker: z.string(),
    signal: z.union([
      z.looseObject({ name: z.literal("fail"), verdict: order }),
      z.looseObject({ name: z.enum(["drain", "terminate"]), order }),
      z.looseObject({ name: z.enum(["ready", "released"]) }),
    ]),
  }),
]);
/** What an older version wrote may lack its rule; a newer one's actions are passed over. */
const details = z.object({
  inputs: z
    .looseObject({ rule: z.string() })
    // The settings of that time are written beside the counts.
    .transform((inputs) => ({ ...inputs, settings: undefined }) as unknown as Snapshot)
    .nullable()
    .catch(null),
  actions: z.array(z.unknown()).catch([]),
});

/**
 * The pool's last decisions as its journal tells them, the newest first.
 * @throws ClientError when there is no such pool; DatabaseError
 */
export async function journaledDecisions({ client }: Database, pool: string, count: number): Promise<Explanation[]> {
  const { data: pools } = await answerOf("read pools", client.from("pools").select("name").eq("name", pool));
  if (pools?.length === 0) {
    throw new ClientError(EXIT.unreachable, `pool ${pool} was never started`, `start it: ${startCommand(pool)}`);
  }
  const columns = "at, reason, decision_id, details";
  const request = client.from("pool_events").select(columns).eq("pool", pool).eq("kind", "decision");
  const { data } = await answerOf("read decisions", request.order("id", { ascending: false }).limit(count));
  return (data ?? []).map((row) => explanationOf(row));
}

interface JournalRow {
  readonly at: string;
  readonly reason: string;
  readonly decision_id: string | null;
  readonly details: unknown;
}

/** A decision of the journal as the query `explain` would tell it. */
export function explanationOf({ at, reason, decision_id: id, details: given }: JournalRow): Explanation {
  const { inputs = null, actions = [] } = details.safeParse(given).data ?? {};
  const decisionId = id ?? "";
  const known = actions.filter((one): one is Action => action.safeParse(one).success);
  const told = explain({ decisionId, actions: known, snapshot: { ...inputs, reason, observedAt: at } as Snapshot });
  return {
    decisionId,
    at: new Date(at).toISOString(),
    rule: inputs?.rule ?? null,
    reason,
    inputs: inputs && (told?.inputs ?? null),
    actions: told?.actions ?? [],
  };
}
