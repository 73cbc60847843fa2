import { poolQueries } from "../../../contract/pool-api.ts";
import type { Snapshot } from "../../../contract/plan.ts";
import type { DetailedReading } from "../../../supabase/observation.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { requireAnswer } from "../../pool-workflow.ts";
import { scalePool } from "./scale.ts";

export interface SpawnOptions extends PoolOptions {
  /** In seconds. */
  readonly for?: number;
}

/** Holds the pool at `count` more than it has or wants, so that the policy does not end the new workers at once. @throws ClientError */
export async function spawnWorkers(context: Context, count: number, options: SpawnOptions): Promise<void> {
  const pool = poolName(context, options);
  const { snapshot } = await requireAnswer(context, pool, poolQueries.status);
  const row = await poolStore(await context.connections.database()).look(pool);
  if (row === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  const target = presentSize(row, snapshot) + count;
  await scalePool(context, { ...options, pool }, { target, ...(options.for && { for: options.for }) });
}

/**
 * The size that the pool has, or will have without another order; workers that leave do not count.
 * @param snapshot of the last look, which may be older than the last order; then its size counts no more.
 */
export function presentSize(
  { fleet, intent }: Pick<DetailedReading, "fleet" | "intent">,
  snapshot: Pick<Snapshot, "desired" | "intent"> | null,
): number {
  const present = (fleet ?? []).filter(({ status }) => status === "spawning" || status === "active").length;
  const desired = snapshot !== null && snapshot.intent.version === intent.version ? snapshot.desired : 0;
  return Math.max(present, desired, intent.hold ?? 0);
}
