import { createHash, randomBytes } from "node:crypto";
import type { Config } from "../config/config.ts";
import type { WorkerTimings } from "../contract/inputs.ts";
import type { CreatePodRequest, Pod } from "../runpod/types.ts";

/** Name of the variable by which a pod is known as ours. */
const DEPLOYMENT_MARK = "GPU_POOL_DEPLOYMENT";

/** What a pod's own end comes later than the pool's: the lifecycle workflow's rotation and burial go first. */
export const FUSE_MARGIN_SEC = 300;

export interface Credential {
  readonly token: string;
  readonly hash: string;
}

/** A pod's own credential. The token goes into the pod's environment and nowhere else; the database keeps its hash. */
export function makeCredential(): Credential {
  const token = `gpw_${randomBytes(32).toString("base64url")}`;
  return { token, hash: createHash("sha256").update(token).digest("hex") };
}

/** What an operator must know who has pods given the service key; null when they have tokens of their own. */
export function credentialWarning({ worker }: Pick<Config, "worker">): string | null {
  if (worker.credential === "token") {
    return null;
  }
  return (
    "WORKER_CREDENTIAL=service_role: every pod gets the service key, which opens all rows and files of the project, does " +
    "not die with the pod, and is shown by the provider's API and console; use it only for workers of the old kind, and " +
    "replace the key when a host may have seen it"
  );
}

/**
 * The create request of one worker: its name is the worker's id.
 * @param timings in force for the worker.
 * @param nowMs from when on the pod's life counts, in ms epoch.
 */
export function podRequest(
  config: Config,
  pool: string,
  id: string,
  credential: Credential,
  timings: Pick<WorkerTimings, "workerMaxLifetimeSec" | "gracefulShutdownTimeoutSec">,
  nowMs: number,
): CreatePodRequest {
  const { runpod, supabase, worker } = config;
  const { workerMaxLifetimeSec, gracefulShutdownTimeoutSec } = timings;
  const endsAtMs = nowMs + (workerMaxLifetimeSec + gracefulShutdownTimeoutSec + FUSE_MARGIN_SEC) * 1000;
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
      SUPABASE_URL: supabase.url,
      ...(worker.credential === "service_role"
        ? { SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey }
        : { WORKER_TOKEN: credential.token, SUPABASE_ANON_KEY: supabase.anonKey }),
      SUPABASE_VIDEO_BUCKET: supabase.videoBucket,
      DB_TYPE: worker.dbType,
      POSTGRES_TABLE_NAME: worker.tableName,
      WORKER_HEARTBEAT_MS: String(worker.heartbeatMs),
      WORKER_POLL_MS: String(worker.pollMs),
      WORKER_MAX_LIFETIME_SEC: String(workerMaxLifetimeSec),
      // An instant, for a container that is restarted must not count anew.
      POD_ENDS_AT: new Date(endsAtMs).toISOString(),
      RUNPOD_API_URL: runpod.apiUrl,
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
