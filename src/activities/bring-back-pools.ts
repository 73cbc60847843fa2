import { Context } from "@temporalio/activity";
import { WorkflowExecutionAlreadyStartedError, WorkflowIdConflictPolicy } from "@temporalio/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { POOL_WORKFLOW, poolWorkflowId } from "../contract/names.ts";
import { poolStart } from "../contract/pool-start.ts";
import type { JanitorActivities, PoolFinding } from "../contract/upkeep.ts";
import { OBSERVED_KINDS } from "../policy/alerts.ts";
import { judgePools, type StockPool } from "../policy/pool-upkeep.ts";
import type { AlertStore } from "../supabase/alert-store.ts";
import type { DatabaseStock, JanitorStore } from "../supabase/janitor-store.ts";
import type { PoolStore } from "../supabase/pool-store.ts";
import { beating } from "./beating.ts";
import { workflowState } from "./temporal-view.ts";

export interface PoolUpkeepDeps {
  readonly config: Config;
  /** The id of this database. */
  readonly deployment: string;
  readonly janitor: Pick<JanitorStore, "stock" | "sight">;
  readonly pools: Pick<PoolStore, "setIntent" | "journal">;
  readonly alerts: Pick<AlertStore, "settle">;
  readonly logger: Logger;
}

/** Starts pools again that should run and do not. */
export function createPoolUpkeep(deps: PoolUpkeepDeps): Pick<JanitorActivities, "bringBackPools"> {
  return {
    bringBackPools: ({ dryRun }) =>
      beating(async () => {
        const { nowMs, pools, sightings } = await deps.janitor.stock([], false);
        const findings = judgePools({
          nowMs,
          silentMs: deps.config.janitor.poolSilentSec * 1000,
          pools: await Promise.all(pools.map(describe)),
          sightings: new Map(sightings.map(({ subject, firstMs }) => [subject, firstMs])),
        });
        const failed: string[] = [];
        if (!dryRun) {
          await remember(deps, findings);
          for (const [index, finding] of findings.entries()) {
            const row = pools[index]!;
            try {
              await bringBack(deps, finding);
              await settle(deps, finding, row);
            } catch (error) {
              failed.push(`${finding.pool}: ${error instanceof Error ? error.message : String(error)}`);
              deps.logger.error(
                { pool: finding.pool, err: error },
                "a pool could not be brought back; tried again later",
              );
            }
          }
        }
        return { findings, failed };
      }),
  };
}

async function describe(pool: DatabaseStock["pools"][number]): Promise<StockPool> {
  const { client, info } = Context.current();
  return {
    ...pool,
    workflow: await workflowState(client, poolWorkflowId(pool.name), info.taskQueue).catch(() => null),
  };
}

/** A pool that is watched again, or was started again, must be silent twice anew. */
async function remember({ janitor }: PoolUpkeepDeps, findings: readonly PoolFinding[]): Promise<void> {
  const isWaiting = ({ verdict }: PoolFinding) => verdict === "wait";
  const over = findings.filter((one) => !isWaiting(one) && one.verdict !== "unknown").map(({ pool }) => `pool/${pool}`);
  await janitor.sight(
    findings.filter(isWaiting).flatMap(({ subject }) => subject ?? []),
    over,
  );
}

async function bringBack(
  { deployment, pools, logger }: PoolUpkeepDeps,
  { pool, verdict, reason }: PoolFinding,
): Promise<void> {
  const { client, info } = Context.current();
  const options = { ...poolStart({ pool }, deployment), taskQueue: info.taskQueue };
  if (verdict !== "bring_back" && verdict !== "bring_back_paused" && verdict !== "restart") {
    return;
  }
  if (verdict === "bring_back_paused") {
    // Before the start, so that the pool never grows in between.
    await pools.setIntent(pool, { kind: "pause" });
  }
  const conflict = verdict === "restart" ? "TERMINATE_EXISTING" : "FAIL";
  try {
    await client.workflow.start(POOL_WORKFLOW, {
      ...options,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy[conflict],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
      throw error;
    }
    // Somebody was faster.
    return;
  }
  const how = verdict === "bring_back_paused" ? "started again, paused" : "started again";
  await pools.journal(pool, "pool.brought_back", `${how}: ${reason}`);
  logger.warn({ pool, reason }, `a pool was ${how}`);
}

/**
 * A pool that came back paused stays an alert until somebody resumes it. Nothing watches a pool that was shut down, so what
 * its last watch had opened is closed here.
 */
async function settle(
  { alerts }: PoolUpkeepDeps,
  finding: PoolFinding,
  { mode }: DatabaseStock["pools"][number],
): Promise<void> {
  const { pool, verdict, reason, workflow } = finding;
  const broughtBack = (how: string) => ({ kind: "pool_brought_back", subject: pool, message: `${reason}; ${how}` });
  switch (verdict) {
    case "bring_back_paused":
      return await alerts.settle(
        pool,
        ["pool_brought_back"],
        [
          broughtBack(
            `it was started again, paused: gpu-pool resume --pool ${pool}, or to end it for good ` +
              `gpu-pool shutdown --pool ${pool}`,
          ),
        ],
      );
    case "bring_back":
      return await alerts.settle(pool, ["pool_brought_back"], [broughtBack("it was started again as it was")]);
    case "restart":
      return await alerts.settle(
        pool,
        ["pool_silent"],
        [{ kind: "pool_silent", subject: pool, message: "its watch was silent, so it was started again as it was" }],
      );
    case "kept":
      return await alerts.settle(
        pool,
        [
          "pool_silent",
          ...(mode === "paused" ? [] : (["pool_brought_back"] as const)),
          ...(mode === "closing" && workflow !== "running" ? OBSERVED_KINDS : []),
        ],
        [],
      );
    default:
      return;
  }
}
