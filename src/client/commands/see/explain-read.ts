import { z } from "zod";
import type { Explanation } from "../../../contract/explanations.ts";
import type { Action, Snapshot } from "../../../contract/plan.ts";
import { type FailedBoot, type JournaledDecision, journalStore } from "../../../supabase/journal-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import { explain } from "../../../contract/explanations.ts";
import type { Connections } from "../../connections.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import { isoTime } from "../../render/stored.ts";

const SHOWN_BOOTS = 3;

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
/** An older version's entry may lack its rule; a newer version's actions are left out. */
const details = z.object({
  inputs: z
    .looseObject({ rule: z.string() })
    // The entry also holds the settings of its time, which no snapshot has.
    .transform((inputs) => ({ ...inputs, settings: undefined }) as unknown as Snapshot)
    .nullable()
    .catch(null),
  actions: z.array(z.unknown()).catch([]),
});

/**
 * The pool's last decisions according to its journal, the newest first.
 * @throws ClientError when there is no such pool; DatabaseError
 */
export async function journaledDecisions(context: Context, pool: string, count: number): Promise<Explanation[]> {
  const database = await context.connections.database();
  if ((await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  return (await journalStore(database).decisions(pool, count)).map(explanationOf);
}

/** The newest boots that failed, three at most. @throws DatabaseError */
export async function readFailedBoots(connections: Connections, pool: string): Promise<FailedBoot[]> {
  return await journalStore(await connections.database()).failedBoots(pool, SHOWN_BOOTS);
}

/** A decision of the journal in the shape of the query `explain`. */
export function explanationOf(decision: Omit<JournaledDecision, "id">): Explanation {
  const { at, reason, decision_id: id, details: given } = decision;
  const { inputs = null, actions = [] } = details.safeParse(given).data ?? {};
  const decisionId = id ?? "";
  const known = actions.filter((one): one is Action => action.safeParse(one).success);
  const explained = explain({
    decisionId,
    actions: known,
    snapshot: { ...inputs, reason, observedAt: at } as Snapshot,
  });
  return {
    decisionId,
    at: isoTime(at),
    rule: inputs?.rule ?? null,
    reason,
    inputs: inputs && (explained?.inputs ?? null),
    actions: explained?.actions ?? [],
  };
}
