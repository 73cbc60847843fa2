import type { PoolFinding } from "../contract/upkeep.ts";

/** A pool's row, and its workflow as Temporal describes it. */
export interface StockPool {
  readonly name: string;
  /** It was started without an end, and was neither shut down nor cancelled. */
  readonly shouldRun: boolean;
  readonly mode: string;
  /** The last full pass of its watch, by the database's clock; null: none yet. */
  readonly observedMs: number | null;
  /** foreign: open on another task queue. Null: Temporal does not say. */
  readonly workflow: { readonly state: "running" | "foreign" | "closed" | "missing"; readonly status: string } | null;
}

export interface PoolStock {
  readonly nowMs: number;
  readonly silentMs: number;
  readonly pools: readonly StockPool[];
  readonly sightings: ReadonlyMap<string, number>;
}

/**
 * One finding for each pool. A pool that should run and has no open workflow is brought back: paused if an operator
 * terminated it, else as it was. One whose watch is silent at two sightings is started again.
 */
export function judgePools({ pools, ...times }: PoolStock): PoolFinding[] {
  return pools.map((pool) => judgePool(times, pool));
}

function judgePool(
  { nowMs, silentMs, sightings }: Omit<PoolStock, "pools">,
  { name: pool, shouldRun, mode, observedMs, workflow }: StockPool,
): PoolFinding {
  const row = `${mode}${shouldRun ? ", should run" : ""}`;
  const finding = { pool, row, workflow: workflow?.status ?? null };
  if (workflow === null) {
    return { ...finding, verdict: "unknown", reason: "Temporal does not say whether its workflow runs" };
  }
  if (workflow.state === "foreign") {
    return { ...finding, verdict: "not_ours", reason: "its workflow runs on another task queue" };
  }
  if (!shouldRun) {
    return { ...finding, verdict: "kept", reason: "it need not run" };
  }
  if (workflow.state !== "running") {
    return workflow.status === "terminated"
      ? { ...finding, verdict: "bring_back_paused", reason: "it should run, and an operator terminated its workflow" }
      : { ...finding, verdict: "bring_back", reason: `it should run, and its workflow is ${workflow.status}` };
  }
  if (observedMs !== null && nowMs - observedMs < silentMs) {
    return { ...finding, verdict: "kept", reason: "it is watched" };
  }
  const subject = `pool/${pool}`;
  const since = observedMs === null ? "never" : `not for ${Math.round((nowMs - observedMs) / 1000)} s`;
  const reason = `its workflow is open, but its watch has read the pool ${since}`;
  const firstMs = sightings.get(subject);
  return firstMs === undefined || nowMs - firstMs < silentMs
    ? { ...finding, subject, verdict: "wait", reason: `${reason}; started again if that lasts` }
    : { ...finding, subject, verdict: "restart", reason };
}
