export type PodStatus = "PROVISIONING" | "STARTING" | "RUNNING" | "EXITED" | "ERROR" | "TERMINATED";

export type PodAction = "start" | "stop" | "restart" | "terminate";

export type EndCause = "deleted" | "terminated" | "vanished" | "simulator closed";

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A pod's container: a local process (`pod-process.ts`), or an actor within this process (`light-pod.ts`). */
export interface PodProcess {
  /** Null for an actor. */
  readonly pid: number | null;
  readonly exited: Promise<ProcessExit>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when the process is gone. */
  stop(graceMs: number): Promise<void>;
  /** SIGKILL at once. */
  kill(): void;
  /**
   * Claims one task, works on it for `taskSec` and completes it. Only actors have it; processes claim by themselves.
   * @returns the task's id, null when the queue has none for it. Rejects when the claim fails.
   */
  claimTask?(taskSec: number): Promise<string | null>;
}

export interface PodToLaunch {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** The program that the request names, with its arguments; null: the image's own. */
  readonly command: readonly [string, ...string[]] | null;
  /** The request's variables and those that the provider adds. */
  readonly env: Readonly<Record<string, string>>;
  /** Folders that the container sees at these paths of its own. */
  readonly mounts: readonly { readonly path: string; readonly folder: string }[];
  /** File that the container's output is written to. */
  readonly logPath: string;
  /** Takes each line of the container's output for the logs route. */
  readonly onLine: (line: string) => void;
}

export type LaunchPod = (pod: PodToLaunch) => PodProcess | Promise<PodProcess>;

/** One span of billed time, in ms epoch; open while `toMs` is null. */
export interface BilledSpan {
  readonly fromMs: number;
  toMs: number | null;
}

/** The ledger's record of one pod, dead or alive. */
export interface LedgerEntry {
  readonly id: string;
  readonly name: string;
  readonly gpu: string;
  readonly status: PodStatus;
  /** Exists at the provider: neither deleted nor vanished; it may have exited. */
  readonly live: boolean;
  /** Costs money at this moment. */
  readonly billing: boolean;
  readonly createdAt: string;
  readonly runningAt: string | null;
  readonly endedAt: string | null;
  readonly endCause: EndCause | null;
  readonly costPerHour: number;
  readonly billedSec: number;
  readonly costUsd: number;
  /** Process id of the last container process; null when none was started, and for an actor. */
  readonly pid: number | null;
  /** Exit of that process; null while it runs, and when none was started. */
  readonly exit: ProcessExit | null;
}

export interface Ledger {
  readonly pods: readonly LedgerEntry[];
  readonly totals: { readonly pods: number; readonly live: number; readonly costUsd: number };
}

/** One request to `/v2`, without its body, because environments hold secrets. */
export interface RequestLogEntry {
  readonly timeMs: number;
  readonly method: string;
  readonly path: string;
  /** Null while unanswered, and when the connection was cut instead of an answer. */
  status: number | null;
  /** `name` of a create request's body. */
  name: string | null;
}

/** A network volume that exists. */
export interface VolumeEntry {
  readonly id: string;
  readonly name: string;
  readonly sizeGb: number;
  readonly dataCenterId: string;
  readonly type: string;
  /** Absolute path of the folder with its files. */
  readonly folder: string;
}

/** The login for a private registry. User name and password are not kept, because no answer ever shows them. */
export interface SimulatedRegistry {
  readonly id: string;
  readonly name: string;
}
