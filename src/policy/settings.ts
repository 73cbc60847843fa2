import type { PoolSettings } from "../contract/pool-settings.ts";

/** The settings that decisions depend on. The watch and the worker workflows read the others themselves. */
export type PolicySettings = Omit<
  PoolSettings,
  "pollSec" | "watchIntervalMs" | "spawningTimeoutSec" | "gracefulShutdownTimeoutSec" | "workerMaxLifetimeSec"
>;
