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

export type Day = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";
