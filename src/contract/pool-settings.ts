/*
 * The settings that rule a pool: the name of each and the type of its value. Its environment variable, range, default and
 * meaning are in config/pool-variables.ts; a name or a type in which the two files differ does not compile there.
 */

export const SCALING_POLICIES = ["threshold", "workload", "latency"] as const;
/** What a pod runs: the worker of the older protocol, the program of this repository, or a program of the operator's own. */
export const WORKER_PROFILES = ["headless-wan2gp", "gpu-worker", "custom"] as const;
export const CLOUDS = ["SECURE", "COMMUNITY"] as const;

export type Day = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/**
 * A window of the week in which some settings differ. It begins on each of `days` at `from` and ends at `to`, the next
 * day when `to` is not later than `from`; both are wall-clock times of `timeZone`, so daylight saving moves the window,
 * not its hours.
 */
export interface Schedule {
  readonly name: string;
  readonly days: readonly Day[];
  /** HH:MM. */
  readonly from: string;
  /** HH:MM; 24:00 is the end of the day. */
  readonly to: string;
  /** IANA name such as Europe/Berlin. */
  readonly timeZone: string;
  readonly minActiveGpus?: number | undefined;
  readonly maxActiveGpus?: number | undefined;
  readonly machinesToKeepIdle?: number | undefined;
}

interface ValueTypes {
  readonly number: number;
  readonly "number or unset": number | undefined;
  readonly boolean: boolean;
  readonly policy: (typeof SCALING_POLICIES)[number];
  readonly schedules: readonly Schedule[];
  readonly text: string;
  readonly "text or unset": string | undefined;
  readonly texts: readonly string[];
  readonly "texts or unset": readonly string[] | undefined;
  readonly profile: (typeof WORKER_PROFILES)[number];
  readonly clouds: readonly (typeof CLOUDS)[number][];
  readonly "engine or unset": "preview" | undefined;
}
type Groups = Readonly<Record<string, Readonly<Record<string, keyof ValueTypes>>>>;

/** A pool may have its own value of each of these; it overrides the environment's. */
const ofPool = {
  scaling: {
    policy: "policy",
    minActiveGpus: "number",
    maxActiveGpus: "number",
    tasksPerGpuThreshold: "number",
    scaleUpMultiplier: "number",
    scaleDownMultiplier: "number",
    waitValue: "number or unset",
    targetWaitSec: "number or unset",
    targetWaitPercentile: "number",
    maxWaitValue: "number",
    waitCostUsdPerHour: "number or unset",
    machinesToKeepIdle: "number",
    maxLaunchesPerMinute: "number",
    workerGracePeriodSec: "number",
    scaleDownIdleSec: "number",
    schedules: "schedules",
    pollSec: "number",
    watchIntervalMs: "number",
  },
  timeouts: {
    gpuIdleTimeoutSec: "number",
    taskStuckTimeoutSec: "number",
    spawningTimeoutSec: "number",
    bootPullingTimeoutSec: "number",
    bootInstallingTimeoutSec: "number",
    bootLoadingTimeoutSec: "number",
    gracefulShutdownTimeoutSec: "number",
    workerMaxLifetimeSec: "number",
  },
  alerts: {
    queueWaitAlertMinutes: "number",
  },
  breaker: {
    maxWorkerFailureRate: "number",
    failureWindowMinutes: "number",
    minWorkersForRateCheck: "number",
  },
  sickWorkers: {
    sickWorkerMinTasks: "number",
    sickWorkerWindowMinutes: "number",
    sickWorkerProofMinutes: "number",
  },
  launch: {
    workerProfile: "profile",
    workerImage: "text",
    workerTemplateId: "text or unset",
    workerStartCommand: "text or unset",
    workerEntrypoint: "texts",
    workerArgs: "texts",
    workerPorts: "texts",
    workerSshPublicKey: "text or unset",
    headlessWan2gpFolder: "text",
    headlessWan2gpVenv: "text",
    headlessWan2gpArgs: "text or unset",
    headlessWan2gpPackages: "text",
    headlessWan2gpRepository: "text",
    headlessWan2gpCommit: "text",
    headlessWan2gpModels: "text",
    headlessWan2gpPython: "text",
    headlessWan2gpTorch: "text",
    volumePrepareTimeoutSec: "number",
    workerEnv: "texts",
    workerEngine: "engine or unset",
    workerTaskTypes: "texts or unset",
    containerDiskGb: "number",
    volumeMountPath: "text",
  },
  placement: {
    gpuTypes: "texts",
    clouds: "clouds",
    dataCenterIds: "texts or unset",
    networkVolumeId: "text or unset",
    storageName: "text or unset",
    minVcpuCount: "number",
    minMemoryGb: "number",
    ramTierFallback: "boolean",
    minGpuMemoryGb: "number",
    maxPriceUsdPerHour: "number or unset",
    placementCooldownSec: "number",
  },
} as const satisfies Groups;

/** These hold for all pools of the account together; only the environment sets them. */
const ofAccount = {
  budget: {
    maxHourlySpendUsd: "number or unset",
    dailyBudgetUsd: "number or unset",
    budgetHard: "boolean",
    noFundsProbeMinutes: "number",
  },
} as const satisfies Groups;

type Values<G extends Groups> = {
  readonly [Group in keyof G]: { readonly [Name in keyof G[Group]]: ValueTypes[G[Group][Name]] };
};
/** All groups in one object: `{ a: { x: 1 }, b: { y: 2 } }` becomes `{ x: 1 } & { y: 2 }`. */
export type Merged<G> = { [Group in keyof G]: (group: G[Group]) => void }[keyof G] extends (all: infer All) => void
  ? All
  : never;

export type OwnSettingGroups = Values<typeof ofPool>;
export type AccountSettingGroups = Values<typeof ofAccount>;

/** A pool's own settings, as its row stores them. */
export type OwnSettings = Partial<Merged<OwnSettingGroups>>;
/** What a pool's pods are made of and where they are rented. */
export type PodSettings = Merged<Pick<OwnSettingGroups, "launch" | "placement">>;
/** All settings that rule a pool. */
export type PoolSettings = Merged<OwnSettingGroups & AccountSettingGroups>;

/** What a task's waiting is worth to the policy `latency`. At most one of them is set: each says it in another unit. */
export const WAIT_SETTINGS = ["waitValue", "targetWaitSec", "waitCostUsdPerHour"] as const;

/** Names of the settings that a pool may have of its own. */
export const POOL_SETTINGS: readonly string[] = namesIn(ofPool);
/** Names of those that say what a pool's pods are. */
export const POD_SETTINGS: readonly string[] = namesIn({ launch: ofPool.launch, placement: ofPool.placement });
/** Names of the settings of the account. */
export const ACCOUNT_SETTINGS: readonly string[] = namesIn(ofAccount);

function namesIn(groups: Groups): string[] {
  return Object.values(groups).flatMap((group) => Object.keys(group));
}

/** Settings with some of them replaced. Of those that say what waiting is worth, a new one takes the place of all others. */
export function withOwn<S extends object>(settings: S, own: Readonly<Record<string, unknown>>): S {
  const saysWaiting = WAIT_SETTINGS.some((name) => Object.hasOwn(own, name));
  const replaced = saysWaiting ? Object.fromEntries(WAIT_SETTINGS.map((name) => [name, undefined])) : {};
  return { ...settings, ...replaced, ...own };
}
