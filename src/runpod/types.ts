/** Status of a pod as REST v2 reports it. A status that is not listed here is passed on unchanged. */
export type PodStatus =
  | "PROVISIONING"
  | "STARTING"
  | "RUNNING"
  | "EXITED"
  | "ERROR"
  | "TERMINATED"
  | (string & Record<never, never>);

/**
 * A pod as the provider shows it.
 *
 * `env` holds secrets in clear text: read only the deployment mark from it. It must reach no log, no error text and no
 * workflow history. `null` means that the provider did not show it or showed something that cannot be true. This is not
 * the same as empty.
 */
export interface Pod {
  readonly id: string;
  readonly name: string | null;
  /** `UNKNOWN` if the provider shows none. */
  readonly status: PodStatus;
  readonly gpuTypeId: string | null;
  /** US dollars per hour, 0.001 to 1,000; 0 only after the pod has exited or terminated. */
  readonly costPerHour: number | null;
  /** ISO 8601 in UTC. */
  readonly createdAt: string | null;
  /** ISO 8601 in UTC. */
  readonly startedAt: string | null;
  /** Seconds since the container started; null before that, and when telemetry is missing. */
  readonly uptimeSec: number | null;
  readonly env: Readonly<Record<string, string>> | null;
}

export type PodMounts =
  | { readonly persistent: { readonly size: number; readonly path: string } }
  | { readonly network: readonly [{ readonly volumeId: string; readonly path: string }] };

/** Body of `POST /v2/pods`. The provider refuses unknown fields, so this type is closed. */
export type CreatePodRequest = {
  readonly name: string;
  /** `count` is required: without it the provider wrongly answers "no instances available". */
  readonly gpu: {
    readonly id: string;
    readonly count: number;
    readonly minCudaVersion?: string;
    readonly allowedCudaVersions?: readonly string[];
    readonly minRamPerGpu?: number;
    readonly minVcpuCountPerGpu?: number;
  };
  readonly cloud: "SECURE" | "COMMUNITY";
  readonly dataCenterIds?: readonly string[];
  /** Container disk in GB. */
  readonly disk: number;
  readonly mounts?: PodMounts;
  readonly env: Readonly<Record<string, string>>;
  /** Such as `8888/http` or `22/tcp`; the provider opens none by default. */
  readonly ports?: readonly string[];
  readonly args?: string;
  readonly cmd?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly registry?: string;
  readonly startSsh?: boolean;
} & (
  | { readonly image: string; readonly templateId?: string }
  | { readonly templateId: string; readonly image?: string }
);
