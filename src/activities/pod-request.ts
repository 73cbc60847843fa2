import { createHash, randomBytes } from "node:crypto";
import type { Config } from "../config.ts";
import type { CreatePodRequest, Pod } from "../runpod/types.ts";

/** Name of the variable by which a pod is known as ours. */
const DEPLOYMENT_MARK = "GPU_POOL_DEPLOYMENT";

export interface Credential {
  readonly token: string;
  readonly hash: string;
}

/** A pod's own credential. The token goes into the pod's environment and nowhere else; the database keeps its hash. */
export function makeCredential(): Credential {
  const token = `gpw_${randomBytes(32).toString("base64url")}`;
  return { token, hash: createHash("sha256").update(token).digest("hex") };
}

/**
 * The create request of one worker: its name is the worker's id.
 * @param maxLifetimeSec of the worker's pool.
 */
export function podRequest(
  config: Config,
  pool: string,
  id: string,
  credential: Credential,
  maxLifetimeSec: number,
): CreatePodRequest {
  const { runpod, supabase, worker } = config;
  return {
    name: id,
    ...(runpod.templateId === undefined
      ? { image: runpod.image }
      : { image: runpod.image, templateId: runpod.templateId }),
    gpu: {
      id: runpod.gpuType,
      count: 1,
      minRamPerGpu: runpod.minMemoryGb,
      minVcpuCountPerGpu: runpod.minVcpuCount,
    },
    cloud: runpod.cloud,
    ...(runpod.dataCenterIds === undefined ? {} : { dataCenterIds: runpod.dataCenterIds }),
    disk: runpod.containerDiskGb,
    ...(runpod.networkVolumeId === undefined
      ? {}
      : { mounts: { network: [{ volumeId: runpod.networkVolumeId, path: runpod.volumeMountPath }] as const } }),
    env: {
      WORKER_ID: id,
      WORKER_TOKEN: credential.token,
      SUPABASE_URL: supabase.url,
      SUPABASE_ANON_KEY: supabase.anonKey,
      SUPABASE_VIDEO_BUCKET: supabase.videoBucket,
      DB_TYPE: worker.dbType,
      POSTGRES_TABLE_NAME: worker.tableName,
      WORKER_HEARTBEAT_MS: String(worker.heartbeatMs),
      WORKER_POLL_MS: String(worker.pollMs),
      WORKER_MAX_LIFETIME_SEC: String(maxLifetimeSec),
      ...(worker.engine === undefined ? {} : { WORKER_ENGINE: worker.engine }),
      ...(worker.replicateApiToken === undefined ? {} : { REPLICATE_API_TOKEN: worker.replicateApiToken }),
      GPU_POOL: pool,
      [DEPLOYMENT_MARK]: config.pool.deployment,
    },
  };
}

/** Whether a pod that carries this worker's name is really ours. */
export function carriesMark(config: Config, pod: Pod): boolean {
  return pod.env?.[DEPLOYMENT_MARK] === config.pool.deployment;
}
