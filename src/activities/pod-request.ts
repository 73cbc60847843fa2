import { createHash, randomBytes } from "node:crypto";
import { type Config, ConfigError } from "../config/config.ts";
import type { WorkerTimings } from "../contract/inputs.ts";
import type { PodSettings } from "../contract/pool-settings.ts";
import type { Place } from "../policy/placement.ts";
import { containerOf, launchEnvironment } from "../policy/launch/container.ts";
import { groundProblems, type LaunchGround, type LaunchProblem, launchProblems } from "../policy/launch/problems.ts";
import { DEPLOYMENT_MARK } from "../runpod/read-pod.ts";
import type { CreatePodRequest, Pod } from "../runpod/types.ts";

/** Seconds by which the pod's own end comes later, so that the worker workflow can rotate the worker and delete the pod first. */
export const FUSE_MARGIN_SEC = 300;

export interface Credential {
  readonly token: string;
  readonly hash: string;
  /** Opens this worker's heartbeat and nothing else. */
  readonly beatSecret: string;
  readonly beatHash: string;
}

/** A credential for one GPU worker. Its secrets go only into the GPU worker's environment; the database keeps their hashes. */
export function makeCredential(): Credential {
  const secret = (prefix: string) => `${prefix}_${randomBytes(32).toString("base64url")}`;
  const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");
  const [token, beatSecret] = [secret("gpw"), secret("gpb")];
  return { token, hash: hashOf(token), beatSecret, beatHash: hashOf(beatSecret) };
}

/** The address of the project for what runs outside: pods, other machines, people. */
export function publicSupabaseUrl({ supabase }: Pick<Config, "supabase">): string {
  return supabase.publicUrl ?? supabase.url;
}

/** The only URL that a worker of the old protocol knows. Its heartbeats carry no token, so the URL carries their secret. */
export function oldWorkerUrl(supabaseUrl: string, { beatSecret }: Pick<Credential, "beatSecret">): string {
  return `${supabaseUrl}/functions/v1/old-worker/${beatSecret}`;
}

/** The warning for operators when pods get the service key; null: pods get tokens of their own. */
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

/** Why pods of a pool with these settings could not work; empty: nothing is known against them. */
export function problemsOfPods(config: Config, settings: PodSettings): readonly LaunchProblem[] {
  return launchProblems(settings, groundOf(config));
}

/** @throws ConfigError where no pod of this process could work, whatever settings its pool has */
export function requireWorkablePods(config: Config): Config {
  const problems = groundProblems(groundOf(config));
  if (problems.length > 0) {
    throw new ConfigError("The environment", problems, "Change it, and start this process again.");
  }
  return config;
}

function groundOf({ runpod, supabase, worker, gateway }: Config): LaunchGround {
  return {
    apiUrl: runpod.apiUrl,
    supabaseUrl: supabase.url,
    publicUrl: supabase.publicUrl,
    credential: worker.credential,
    allowPreview: worker.allowPreview,
    secrets: {
      SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
      SUPABASE_DB_URL: supabase.dbUrl,
      SUPABASE_JWT_SECRET: gateway.jwtSecret,
      GATEWAY_DB_URL: gateway.dbUrl,
      RUNPOD_API_KEY: runpod.apiKey,
      REPLICATE_API_TOKEN: worker.replicateApiToken,
    },
  };
}

export interface PodOrder {
  readonly config: Config;
  /** In force for the pool. */
  readonly settings: PodSettings;
  /** The variables of `settings.workerEnv` with their values, which may be secret. */
  readonly workerEnv: Readonly<Record<string, string>>;
  readonly place: Place & { readonly volumeId: string | null };
  readonly deployment: string;
  readonly pool: string;
  /** The worker's id, which is the pod's name. */
  readonly id: string;
  readonly credential: Credential;
  readonly timings: Pick<WorkerTimings, "workerMaxLifetimeSec" | "gracefulShutdownTimeoutSec">;
  /** Start of the pod's life, ms since epoch. */
  readonly nowMs: number;
}

/** The request that creates one worker's pod. */
export function podRequest(order: PodOrder): CreatePodRequest {
  const { settings, place } = order;
  const { volumeId } = place;
  return {
    name: order.id,
    ...containerOf(settings),
    gpu: {
      id: place.gpuType,
      count: 1,
      minRamPerGpu: place.minMemoryGb,
      minVcpuCountPerGpu: settings.minVcpuCount,
    },
    cloud: place.cloud,
    ...(place.dataCenter === null ? {} : { dataCenterIds: [place.dataCenter] }),
    disk: settings.containerDiskGb,
    ...(volumeId === null ? {} : { mounts: { network: [{ volumeId, path: settings.volumeMountPath }] as const } }),
    env: podEnvironment(order),
  };
}

function podEnvironment(order: PodOrder): Record<string, string> {
  const { supabase, worker, runpod } = order.config;
  const supabaseUrl = publicSupabaseUrl(order.config);
  const { workerMaxLifetimeSec, gracefulShutdownTimeoutSec } = order.timings;
  const endsAtMs = order.nowMs + (workerMaxLifetimeSec + gracefulShutdownTimeoutSec + FUSE_MARGIN_SEC) * 1000;
  return {
    // First, so that none of them replaces one of ours.
    ...order.workerEnv,
    WORKER_ID: order.id,
    SUPABASE_URL: supabaseUrl,
    // createPod has refused the service key for this profile; whatever comes here, it gets a token.
    ...(worker.credential === "service_role" && order.settings.workerProfile !== "headless-wan2gp"
      ? { SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey }
      : {
          WORKER_TOKEN: order.credential.token,
          SUPABASE_ANON_KEY: supabase.anonKey,
          OLD_WORKER_URL: oldWorkerUrl(supabaseUrl, order.credential),
        }),
    SUPABASE_VIDEO_BUCKET: supabase.videoBucket,
    DB_TYPE: worker.dbType,
    POSTGRES_TABLE_NAME: worker.tableName,
    WORKER_HEARTBEAT_MS: String(worker.heartbeatMs),
    WORKER_POLL_MS: String(worker.pollMs),
    WORKER_MAX_LIFETIME_SEC: String(workerMaxLifetimeSec),
    // An instant, not a duration: a restarted container must not count again from zero.
    POD_ENDS_AT: new Date(endsAtMs).toISOString(),
    ...launchEnvironment(order.settings, endsAtMs),
    RUNPOD_API_URL: runpod.apiUrl,
    ...(order.settings.workerEngine === undefined ? {} : { WORKER_ENGINE: order.settings.workerEngine }),
    ...(worker.allowPreview ? { ALLOW_PREVIEW: "1" } : {}),
    ...(worker.replicateApiToken === undefined ? {} : { REPLICATE_API_TOKEN: worker.replicateApiToken }),
    GPU_POOL: order.pool,
    [DEPLOYMENT_MARK]: order.deployment,
  };
}

/** Whose id stands in a pod's environment; nobody's where it has none or is not shown. */
export function ownerOf(pod: Pick<Pod, "env">, deployment: string): "us" | "another" | "nobody" {
  const mark = pod.env?.[DEPLOYMENT_MARK];
  if (mark === undefined) {
    return "nobody";
  }
  return mark === deployment ? "us" : "another";
}
