import { GPU_TYPES } from "./market/catalog.ts";
import type { CreateRequest } from "./create-request.ts";
import type { PodLog } from "./pod-log.ts";
import type { BilledSpan, EndCause, PodAction, PodProcess, PodStatus, ProcessExit } from "./types.ts";

/** A pod as the simulator keeps it; changed by `pod-phases.ts` only. */
export interface SimulatedPod {
  readonly id: string;
  /** Rises by one with every pod created; orders the lists. */
  readonly sequence: number;
  readonly request: CreateRequest;
  /** Good for this pod's own routes only; injected into its environment. */
  readonly apiKey: string;
  readonly dataCenterId: string;
  readonly costPerHour: number;
  readonly createdAtMs: number;
  /** Lists show the pod from then on. */
  readonly listedFromMs: number;
  /** The pod becomes RUNNING without a process. */
  readonly mute: boolean;
  /** Fields that every answer shows in place of the true ones. */
  readonly oddFields: Readonly<Record<string, unknown>>;
  readonly billed: BilledSpan[];
  readonly log: PodLog;
  status: PodStatus;
  runningAtMs: number | null;
  endedAtMs: number | null;
  endCause: EndCause | null;
  /** From then on lists leave the pod out and its routes answer 404. */
  hiddenFromMs: number | null;
  process: PodProcess | null;
  pid: number | null;
  exit: ProcessExit | null;
  phaseTimer: NodeJS.Timeout | null;
  /** Raised by every action on the pod, so that a launch under way sees that it is outdated. */
  generation: number;
  /** The previous process while it is being ended. */
  ending: Promise<void>;
}

const ACTIONS: Readonly<Record<PodStatus, readonly PodAction[]>> = {
  PROVISIONING: ["stop", "terminate"],
  STARTING: ["stop", "terminate"],
  RUNNING: ["stop", "restart", "terminate"],
  EXITED: ["start", "terminate"],
  ERROR: ["start", "terminate"],
  TERMINATED: [],
};

export function allowedActions(pod: SimulatedPod): readonly PodAction[] {
  return ACTIONS[pod.status];
}

export function imageOf(pod: SimulatedPod): string {
  return pod.request.image ?? `template/${pod.request.templateId}`;
}

/** The pod as REST v2 shows it at `nowMs`. */
export function podBody(pod: SimulatedPod, nowMs: number): Record<string, unknown> {
  const { request } = pod;
  const gone = pod.status === "EXITED" || pod.status === "TERMINATED";
  return {
    id: pod.id,
    name: request.name,
    status: pod.status,
    actions: allowedActions(pod),
    image: imageOf(pod),
    args: request.args ?? null,
    cmd: request.cmd ?? null,
    entrypoint: request.entrypoint ?? null,
    disk: request.disk,
    mounts: request.mounts ?? null,
    ports: request.ports,
    env: request.env,
    registry: request.registry ?? null,
    ...(request.cpu ? { cpu: request.cpu } : { gpu: gpuBody(request) }),
    cloud: request.cloud,
    dataCenterId: pod.dataCenterId,
    cudaVersion: request.cpu ? null : "12.8",
    template: request.templateId ? { id: request.templateId } : null,
    cost: gone ? 0 : pod.costPerHour,
    locked: false,
    // No pod is a machine of its own, so SSH reaches none; `odd-fields` shows an address.
    ssh: {
      proxy: { host: "ssh.invalid", port: 22, username: pod.id, command: `ssh ${pod.id}@ssh.invalid` },
      direct: null,
    },
    globalNetworking: request.globalNetworking,
    runtime: pod.status === "RUNNING" && pod.runningAtMs !== null ? runtimeBody(pod, pod.runningAtMs, nowMs) : null,
    createdAt: new Date(pod.createdAtMs).toISOString(),
    startedAt: pod.runningAtMs === null ? null : new Date(pod.runningAtMs).toISOString(),
    ...pod.oddFields,
  };
}

/** Variables that the provider adds to the pod's environment. */
export function injectedEnv(pod: SimulatedPod): Record<string, string> {
  return {
    RUNPOD_POD_ID: pod.id,
    RUNPOD_API_KEY: pod.apiKey,
    RUNPOD_DC_ID: pod.dataCenterId,
    RUNPOD_GPU_COUNT: String(pod.request.gpu?.count ?? 0),
    RUNPOD_PUBLIC_IP: "127.0.0.1",
  };
}

function gpuBody(request: CreateRequest): Record<string, unknown> {
  const count = request.gpu?.count ?? 1;
  const memory = GPU_TYPES.find((type) => type.id === request.gpu?.id)?.memory ?? 0;
  return { id: request.gpu?.id, count, vcpuCount: 8 * count, memory: memory * count };
}

function runtimeBody(pod: SimulatedPod, runningAtMs: number, nowMs: number): Record<string, unknown> {
  return {
    uptime: Math.floor((nowMs - runningAtMs) / 1000),
    gpus: pod.request.gpu ? Array.from({ length: pod.request.gpu.count ?? 1 }, () => ({ util: 0, memoryUtil: 0 })) : [],
    cpu: { util: 0 },
    memory: { util: 0 },
    ports: pod.request.ports.map((port) => {
      const [number, type] = port.split("/");
      return { private: Number(number), public: null, type, ip: null };
    }),
  };
}
