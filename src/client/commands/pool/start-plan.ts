import { loadConfig } from "../../../config/config.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import type { Intent } from "../../../contract/intent.ts";
import { poolWorkflowId } from "../../../contract/names.ts";
import type { OwnSettings, PoolSettings } from "../../../contract/pool-settings.ts";
import { namesNoGpuType } from "../../../policy/placement.ts";
import { settingsAt } from "../../../policy/schedule.ts";
import { createRunpodClient } from "../../../runpod/client.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { counted } from "../../render/rows.ts";

const DESCRIBE_TIMEOUT_MS = 10_000;
/** An announcement must not wait long for a price. */
const PRICE_TIMEOUT_MS = 5_000;

type Announced = Pick<
  PoolSettings,
  "minActiveGpus" | "maxActiveGpus" | "gpuTypes" | "clouds" | "maxHourlySpendUsd" | "dailyBudgetUsd"
>;

/** What a start will do, as far as it is known. */
export interface StartPlan {
  readonly settings: Announced;
  /** Null: the pool is new. */
  readonly intent: Pick<Intent, "mode" | "hold"> | null;
  readonly living: number;
  readonly queued: number;
  /** The cheapest offer for one of its GPU types, in USD an hour; null: not known. */
  readonly usdPerHour: number | null;
}

/** @returns null: the pool runs already. @throws ConfigError, DatabaseError */
export async function planStart(context: Context, pool: string, given: OwnSettings): Promise<StartPlan | null> {
  if (await isRunning(context, pool)) {
    return null;
  }
  const pools = poolStore(await context.connections.database());
  const row = await pools.look(pool);
  const own = row === null ? {} : row.config;
  const environment = row === null ? {} : row.environment;
  const config = loadConfig(context.env, { need: [] });
  const inForce = settingsInForce(config, environment, { ...own, ...given });
  const { settings } = settingsAt(inForce, row?.nowMs ?? Date.now());
  return {
    settings,
    intent: row === null ? null : row.intent,
    living: (row?.fleet ?? []).length,
    queued: row?.queued ?? 0,
    usdPerHour: (await cheapest(context, settings)) ?? row?.spend?.priceUsd ?? null,
  };
}

async function isRunning(context: Context, pool: string): Promise<boolean> {
  const { client, within } = await context.connections.temporal();
  try {
    const { status } = await within(DESCRIBE_TIMEOUT_MS, () =>
      client.workflow.getHandle(poolWorkflowId(pool)).describe(),
    );
    return status.name === "RUNNING";
  } catch (error) {
    if (error instanceof Error && error.name === "WorkflowNotFoundError") {
      return false;
    }
    throw error;
  }
}

/**
 * The provider's price now; null where it cannot be asked.
 * @throws ClientError where the catalog has none of the GPU types: no pod could ever be rented
 */
async function cheapest({ env }: Context, { gpuTypes, clouds }: Announced): Promise<number | null> {
  if (!env["RUNPOD_API_KEY"]) {
    return null;
  }
  const { apiUrl, apiKey } = loadConfig(env, { need: ["runpod"] }).runpod;
  const runpod = createRunpodClient({ apiUrl, apiKey, timeoutMs: PRICE_TIMEOUT_MS, userAgent: "gpu-pool" });
  try {
    const list = await runpod.listGpuTypes({ clouds });
    const types = list.kind === "complete" ? list.gpuTypes.filter(({ id }) => gpuTypes.includes(id)) : [];
    if (list.kind === "complete" && namesNoGpuType({ gpuTypes }, list.gpuTypes)) {
      const detail = `the provider's catalog has no GPU type ${gpuTypes.join(" or ")} (RUNPOD_GPU_TYPE)`;
      throw new ClientError(EXIT.failed, detail, "gpu-pool doctor names types that are alike.");
    }
    const prices = types.flatMap(({ offers }) => clouds.map((cloud) => offers[cloud]?.usdPerGpuHour ?? Infinity));
    const least = Math.min(...prices);
    return Number.isFinite(least) ? least : null;
  } finally {
    await runpod.close();
  }
}

/** How many workers a start books at once, before it looks at the queue. */
export function workersAtOnce({ settings, intent, living }: StartPlan): number {
  if (intent !== null && (intent.mode === "paused" || intent.mode === "draining")) {
    return 0;
  }
  const wanted = Math.min(intent?.hold ?? settings.minActiveGpus, settings.maxActiveGpus);
  return Math.max(0, wanted - living);
}

/** The plan in words, one fact a line. */
export function describePlan(pool: string, plan: StartPlan): string[] {
  const { settings, intent, living, queued, usdPerHour } = plan;
  const { minActiveGpus: min, maxActiveGpus: max, gpuTypes, clouds, maxHourlySpendUsd, dailyBudgetUsd } = settings;
  const why = intent?.hold == null ? `MIN ${min}` : `held at ${intent.hold}`;
  const mode =
    intent !== null && (intent.mode === "paused" || intent.mode === "draining") ? `; it is ${intent.mode}` : "";
  const price = usdPerHour === null ? "at a price that is not known" : `from $${usdPerHour.toFixed(2)} an hour each`;
  const cap = (usd: number | undefined, per: string) => (usd === undefined ? [] : [`$${usd} ${per}`]);
  const caps = [...cap(maxHourlySpendUsd, "an hour"), ...cap(dailyBudgetUsd, "a day")];
  const has = living === 0 ? "" : `, has ${living}`;
  return [
    `pool ${pool} rents ${counted(workersAtOnce(plan), "worker", "workers")} at once (${why}${has}${mode}), and at most ${max} (MAX) for its queue of ${queued}`,
    `  on ${gpuTypes.join(" or ")} (${clouds.join(" or ")}), ${price}; budget: ${caps.length === 0 ? "no cap" : `${caps.join(", ")}, over all pools`}`,
  ];
}
