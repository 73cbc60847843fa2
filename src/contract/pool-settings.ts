/** Names of the settings that a pool may be given of its own (docs/configuration.md), for code that cannot read the configuration. */
export const POOL_SETTINGS: readonly string[] = [
  "policy",
  "minActiveGpus",
  "maxActiveGpus",
  "tasksPerGpuThreshold",
  "scaleUpMultiplier",
  "scaleDownMultiplier",
  "machinesToKeepIdle",
  "maxLaunchesPerMinute",
  "workerGracePeriodSec",
  "scaleDownIdleSec",
  "schedules",
  "pollSec",
  "watchIntervalMs",
  "gpuIdleTimeoutSec",
  "taskStuckTimeoutSec",
  "spawningTimeoutSec",
  "gracefulShutdownTimeoutSec",
  "workerMaxLifetimeSec",
  "maxWorkerFailureRate",
  "failureWindowMinutes",
  "minWorkersForRateCheck",
];

/** Those of the account, over all pools: only the environment sets them. */
export const ACCOUNT_SETTINGS: readonly string[] = ["maxHourlySpendUsd", "dailyBudgetUsd", "budgetHard"];
