import type { Schedule } from "./schedule.ts";

/** The part of the configuration that decisions depend on. */
export interface PolicySettings {
  readonly policy: "threshold" | "workload";
  readonly minActiveGpus: number;
  readonly maxActiveGpus: number;
  readonly tasksPerGpuThreshold: number;
  /** `workload` only: GPUs for each queued or running task. */
  readonly scaleUpMultiplier: number;
  /** `workload` only: as above, for what is kept while shrinking; never less than what it grows to. */
  readonly scaleDownMultiplier: number;
  readonly machinesToKeepIdle: number;
  readonly maxLaunchesPerMinute: number;
  readonly workerGracePeriodSec: number;
  readonly scaleDownIdleSec: number;
  readonly schedules: readonly Schedule[];

  readonly gpuIdleTimeoutSec: number;
  readonly taskStuckTimeoutSec: number;

  readonly maxWorkerFailureRate: number;
  readonly failureWindowMinutes: number;
  readonly minWorkersForRateCheck: number;

  readonly maxHourlySpendUsd?: number | undefined;
  readonly dailyBudgetUsd?: number | undefined;
  readonly budgetHard: boolean;
}
