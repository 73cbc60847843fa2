import type { Config } from "../config/config.ts";
import { settingsInForce } from "../config/settings-in-force.ts";
import type { WorkerTimings } from "../contract/inputs.ts";

/** Deadlines of a worker's life, by the pool's settings now in force. */
export function workerTimings(config: Config, environment: unknown, own: unknown): WorkerTimings {
  const settings = settingsInForce(config, environment, own);
  return {
    spawningTimeoutSec: settings.spawningTimeoutSec,
    bootPullingTimeoutSec: settings.bootPullingTimeoutSec,
    bootInstallingTimeoutSec: settings.bootInstallingTimeoutSec,
    bootLoadingTimeoutSec: settings.bootLoadingTimeoutSec,
    gracefulShutdownTimeoutSec: settings.gracefulShutdownTimeoutSec,
    workerMaxLifetimeSec: settings.workerMaxLifetimeSec,
    podListLagSec: config.provider.podListLagSec,
    podSettleSec: config.provider.podSettleSec,
  };
}
