import type { PodSettings, PoolSettings } from "../contract/pool-settings.ts";

/** The settings that a pool's size depends on. The watch, the worker workflows and the placement read the others themselves. */
export type PolicySettings = Omit<
  PoolSettings,
  | "pollSec"
  | "watchIntervalMs"
  | "spawningTimeoutSec"
  | "bootPullingTimeoutSec"
  | "bootInstallingTimeoutSec"
  | "bootLoadingTimeoutSec"
  | "gracefulShutdownTimeoutSec"
  | "workerMaxLifetimeSec"
  | keyof PodSettings
>;
