import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { makeCredential, oldWorkerUrl, publicSupabaseUrl } from "../../../activities/pod-request.ts";
import { loadConfig } from "../../../config/config.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import { namedTypes } from "../../../policy/launch/task-types.ts";
import { externalStore } from "../../../supabase/external-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";

export interface ExternalWorkerOptions extends PoolOptions {
  readonly id?: string;
  /** Names of types and programs, separated by commas. */
  readonly taskTypes?: string;
}

const ENGINE_ADVICE = "Set WORKER_ENGINE=preview, the one engine that there is; it runs no model.";

/** Registers the worker. @param needsEngine whether it is our program, which needs one. @returns the environment of its process; nothing else ever holds its token. @throws ClientError */
export async function registerExternalWorker(
  context: Context,
  options: ExternalWorkerOptions,
  { needsEngine }: { readonly needsEngine: boolean },
): Promise<Readonly<Record<string, string>>> {
  const config = loadConfig(context.env, { need: ["supabase"] });
  const { supabase, worker } = config;
  const supabaseUrl = publicSupabaseUrl(config);
  const pool = poolName(context, options);
  const id = options.id ?? `external-${randomBytes(4).toString("hex")}`;
  const credential = makeCredential();
  const database = await context.connections.database();
  const row = await poolStore(database).find(pool);
  if (row === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  const settings = settingsInForce(config, row.environment, row.own);
  // This machine's own setting counts before the pool's, which is about pods.
  const engine = config.launch.workerEngine ?? settings.workerEngine;
  if (needsEngine && engine === undefined) {
    throw new ClientError(EXIT.failed, "no engine is named for this worker", ENGINE_ADVICE);
  }
  const store = externalStore(database);
  const types =
    options.taskTypes === undefined ? null : namedTypes(options.taskTypes.split(",").map((name) => name.trim()));
  const outcome = await store.register({
    id,
    pool,
    tokenHash: credential.hash,
    beatHash: credential.beatHash,
    // The worker may finish and deliver its last task after its last claim.
    lifetimeSec: settings.workerMaxLifetimeSec + settings.gracefulShutdownTimeoutSec,
    machine: `external: ${hostname()}`,
    taskTypes: types,
  });
  if (outcome === "taken") {
    throw new ClientError(EXIT.failed, `worker id ${plain(id)} was used before`, "Leave out --id, or give another.");
  }
  return {
    WORKER_ID: id,
    WORKER_TOKEN: credential.token,
    SUPABASE_URL: supabaseUrl,
    SUPABASE_ANON_KEY: supabase.anonKey,
    OLD_WORKER_URL: oldWorkerUrl(supabaseUrl, credential),
    SUPABASE_VIDEO_BUCKET: supabase.videoBucket,
    WORKER_HEARTBEAT_MS: String(worker.heartbeatMs),
    WORKER_POLL_MS: String(worker.pollMs),
    WORKER_MAX_LIFETIME_SEC: String(settings.workerMaxLifetimeSec),
    ...(engine === undefined ? {} : { WORKER_ENGINE: engine }),
    ...(types === null ? {} : { WORKER_TASK_TYPES: types.join(",") }),
  };
}
