import { randomUUID } from "node:crypto";
import { podEvidenceBook } from "../../../activities/pod-evidence.ts";
import { expectedPod } from "../../../activities/placement/market.ts";
import { loadConfig } from "../../../config/config.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import type { CycleSummary } from "../../../contract/cycle-summary.ts";
import type { PoolSettings } from "../../../contract/pool-settings.ts";
import { atPrice } from "../../../policy/budget.ts";
import { decide, type Decision } from "../../../policy/decide.ts";
import { taskTypesOf } from "../../../policy/launch/task-types.ts";
import { settingsAt } from "../../../policy/schedule.ts";
import type { CatalogType } from "../../../policy/placement.ts";
import type { PolicySettings } from "../../../policy/settings.ts";
import { createRunpodClient } from "../../../runpod/client.ts";
import type { ListPodsOutcome } from "../../../runpod/outcomes.ts";
import { readDeploymentId } from "../../../supabase/deployment-store.ts";
import { READER_MEASURES_SEC } from "../../../supabase/measured/figures.ts";
import { type PoolRecord, type PoolStore, poolStore } from "../../../supabase/pool-store.ts";
import { summariseCycle } from "../../../contract/cycle-summary.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import { withTried } from "../../tried-settings.ts";
import { counted } from "../../render/rows.ts";

export interface DryRun {
  readonly round: CycleSummary;
  /** In force now, a schedule's window included. */
  readonly settings: PolicySettings;
  /** Names of the settings that are the pool's own. */
  readonly own: readonly string[];
  /** The provider's list, in words. */
  readonly provider: string;
  /** The breaker's new state, and why; null: it would stay as it is. */
  readonly breakerChange: Decision["breaker"];
  readonly warnings: Decision["warnings"];
}

/**
 * Decides as the pool's watch would, from one reading. Nothing is written but the pool's measured figures, if nobody has
 * renewed them for a minute.
 * @param tried settings in place of the pool's own; null: without it.
 * @throws ClientError when there is no such pool; ConfigError, DatabaseError
 */
export async function dryRun(
  context: Context,
  pool: string,
  tried: Readonly<Record<string, unknown>> = {},
): Promise<DryRun> {
  const config = loadConfig(context.env, { need: ["database"] });
  const database = await context.connections.database();
  const pools = poolStore(database);
  const { own: stored, environment, observedAt } = await requirePool(context, pools, pool);
  const own = withTried(stored, tried);
  const settings = settingsInForce(config, environment, own);
  const request = {
    knownFleetHash: null,
    full: false,
    pollSec: settings.pollSec,
    failureWindowMin: settings.failureWindowMinutes,
    minBoots: settings.minWorkersForRateCheck,
    failures: true,
    sick: settings,
    taskTypes: taskTypesOf(settings),
    spend: true,
    measure: { everySec: READER_MEASURES_SEC, knownMs: null, target: null },
  };
  const [{ measured, ...reading }, { list, catalog }] = await Promise.all([
    pools.observe(pool, request),
    askProvider(context.env),
  ]);
  const fleet = reading.fleet ?? [];
  // One list proves that a pod is there; only two prove that it is not.
  const book = podEvidenceBook(await readDeploymentId(database));
  book.note(fleet, list);
  const decision = decide(settings, {
    ...reading,
    ...(measured && { measured }),
    spend: reading.spend && atPrice(reading.spend, expectedPod(settings, catalog).usdPerHour),
    observingSinceMs: isWatched(observedAt, reading.nowMs, settings) ? reading.observingSinceMs : reading.nowMs,
    fleet: fleet.map((worker) => ({
      ...worker,
      failedRun: reading.failedRuns?.[worker.id] ?? null,
      pod: book.of(worker),
    })),
  });
  const { snapshot, actions, breaker, warnings } = decision;
  return {
    round: summariseCycle(pool, { decisionId: randomUUID(), snapshot, actions }, []),
    settings: settingsAt(settings, reading.nowMs).settings,
    own: Object.keys(own).toSorted(),
    provider:
      list.kind === "complete"
        ? `${counted(list.pods.length, "pod", "pods")} in the account`
        : `unknown, so no evidence: ${list.detail}`,
    breakerChange: breaker,
    warnings,
  };
}

async function requirePool(context: Context, pools: PoolStore, pool: string): Promise<PoolRecord> {
  const record = await pools.find(pool);
  if (record === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}: it has no settings and no workers`);
  }
  return record;
}

/** As in pool_observe: after a pause a watch counts heartbeat ages from its own start. */
function isWatched(observedAt: string | null, nowMs: number, { pollSec }: PoolSettings): boolean {
  return observedAt !== null && Date.parse(observedAt) >= nowMs - (2 * pollSec + 10) * 1000;
}

interface Provider {
  readonly list: ListPodsOutcome;
  /** Null: not known. */
  readonly catalog: readonly CatalogType[] | null;
}

async function askProvider(env: Context["env"]): Promise<Provider> {
  if (!env["RUNPOD_API_KEY"]) {
    return { list: { kind: "unknown", detail: "RUNPOD_API_KEY is not set" }, catalog: null };
  }
  const { apiUrl, apiKey, timeoutMs } = loadConfig(env, { need: ["runpod"] }).runpod;
  const runpod = createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool" });
  try {
    const [list, catalog] = await Promise.all([runpod.listPods(), runpod.listGpuTypes()]);
    return { list, catalog: catalog.kind === "complete" ? catalog.gpuTypes : null };
  } finally {
    await runpod.close();
  }
}
