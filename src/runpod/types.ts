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
  /** Missing where the provider shows none. Its proxy is none: that takes no commands without a terminal. */
  readonly ssh?: SshAddress;
}

/** Where the pod's own SSH server is reached. No part can be taken for an option of ssh. */
export interface SshAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string;
}

/** `SECURE`: the provider's own data centers; `COMMUNITY`: machines of others, without network volumes. */
export type Cloud = "SECURE" | "COMMUNITY";

export type Availability = "NONE" | "LOW" | "MEDIUM" | "HIGH";

/** What one cloud offers of a GPU type. `null` is unknown: not shown, or not plausible. */
export interface CloudOffer {
  readonly offered: boolean | null;
  /** US dollars per hour for a single GPU, 0.001 to 1,000. */
  readonly usdPerGpuHour: number | null;
  /** The most GPUs that one pod can have. */
  readonly maxGpuCount: number | null;
  readonly availability: Availability | null;
  /** Stock of each data center that has the type at all. Empty: in stock nowhere. */
  readonly dataCenters: readonly { readonly id: string; readonly availability: Availability | null }[] | null;
}

export interface GpuType {
  /** As create requests name it, such as `NVIDIA GeForce RTX 4090`. */
  readonly id: string;
  readonly name: string | null;
  /** GB of video memory of one GPU. */
  readonly memoryGb: number | null;
  /** Only the clouds that were asked for, and of these only those whose list shows the type. */
  readonly offers: { readonly [cloud in Cloud]?: CloudOffer };
}

export interface DataCenter {
  readonly id: string;
  readonly name: string | null;
  /** Such as `EUROPE`. */
  readonly region: string | null;
  /** Kinds of network volumes that can be made here. Empty: none; null: unknown. */
  readonly volumeTypes: readonly VolumeType[] | null;
}

/** A type that is not listed here is passed on unchanged. */
export type VolumeType = "STANDARD" | "HIGH_PERFORMANCE" | (string & Record<never, never>);

/** A disk of its own price, which pods of its data center can mount. `null` is unknown. */
export interface NetworkVolume {
  readonly id: string;
  /** Several volumes may have one name. */
  readonly name: string | null;
  readonly sizeGb: number | null;
  readonly dataCenterId: string | null;
  readonly type: VolumeType | null;
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
  readonly cloud: Cloud;
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
