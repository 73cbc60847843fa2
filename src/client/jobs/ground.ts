import { type Config, loadConfig } from "../../config/config.ts";
import { settingsInForce } from "../../config/settings-in-force.ts";
import type { PoolSettings } from "../../contract/pool-settings.ts";
import { type BindingVolume, type Candidate, placementOf, whyNone } from "../../policy/placement.ts";
import { createRunpodClient, type RunpodClient } from "../../runpod/client.ts";
import type { NetworkVolume } from "../../runpod/types.ts";
import type { Database } from "../../supabase/client.ts";
import { poolStore } from "../../supabase/pool-store.ts";
import type { Context } from "../context.ts";
import { ClientError, EXIT } from "../errors.ts";
import { describePools } from "../missing-pool.ts";
import { findNamedVolume } from "../named-volume.ts";

/** What a job of a pool is planned from. */
export interface JobGround {
  readonly context: Context;
  readonly config: Config;
  readonly database: Database;
  readonly runpod: RunpodClient;
  readonly pool: string;
  /** In force for the pool: those of its row, else those of this environment. */
  readonly settings: PoolSettings;
}

export async function withJobGround<T>(
  context: Context,
  pool: string,
  act: (ground: JobGround) => Promise<T>,
): Promise<T> {
  const config = loadConfig(context.env, { need: ["supabase", "runpod"] });
  const { apiUrl, apiKey, timeoutMs } = config.runpod;
  const database = await context.connections.database();
  const pools = poolStore(database);
  const stored = await pools.find(pool);
  const names = stored === null ? await pools.names() : [];
  if (names.length > 0) {
    const those = describePools(names);
    context.output.note(`there is no pool ${pool}, so the settings are those of this environment. ${those}`);
  }
  const settings = settingsInForce(config, stored?.environment ?? {}, stored?.own ?? {});
  const runpod = createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool" });
  try {
    return await act({ context, config, database, runpod, pool, settings });
  } finally {
    await runpod.close();
  }
}

/** The volume that the pool's settings name; null: they name one by a name that no volume has yet. */
export async function findVolume({
  runpod,
  settings,
}: Pick<JobGround, "runpod" | "settings">): Promise<NetworkVolume | null> {
  const named = await findNamedVolume(runpod, settings);
  switch (named.kind) {
    case "found":
      return named.volume;
    case "absent":
      return null;
    case "unset":
      throw new ClientError(
        EXIT.failed,
        "the pool's settings name no network volume",
        "Set RUNPOD_STORAGE_NAME (gpu-pool volume prepare makes a volume of this name) or RUNPOD_NETWORK_VOLUME_ID.",
      );
    case "wrong":
      throw new ClientError(EXIT.failed, named.problem, named.remedy);
    case "unknown":
      throw new ClientError(EXIT.unreachable, named.problem, "Try again.");
  }
}

/** Where the pool's settings allow a pod now, the best place first. @throws ClientError where there is none */
export async function placesFor(
  { runpod }: Pick<JobGround, "runpod">,
  settings: PoolSettings,
  volume: BindingVolume | null,
): Promise<readonly [Candidate, ...Candidate[]]> {
  const catalog = await runpod.listGpuTypes();
  if (catalog.kind === "unknown") {
    throw new ClientError(EXIT.unreachable, `the provider's catalog is not known: ${catalog.detail}`, "Try again.");
  }
  const market = { catalog: catalog.gpuTypes, volume, misses: [], nowMs: Date.now() };
  const placement = placementOf(settings, market);
  const [first, ...others] = placement.open;
  if (first === undefined) {
    throw new ClientError(
      EXIT.failed,
      whyNone(placement, "one pod"),
      "Try again later, or change where the pool may rent.",
    );
  }
  return [first, ...others];
}

export function placeInWords({ gpuType, cloud, dataCenter, usdPerHour }: Candidate): string {
  const price = usdPerHour === null ? "of unknown price" : `at $${usdPerHour} an hour`;
  return `${gpuType} ${price}, ${cloud}, ${dataCenter ?? "any data center"}`;
}
