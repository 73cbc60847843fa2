import { type AccountSettingGroups, type OwnSettingGroups, SCALING_POLICIES } from "../contract/pool-settings.ts";
import { decimal, defaulted, flag, oneOf, optional, seconds, type VariablesOf, whole } from "./kinds.ts";
import { launch, placement } from "./pod-variables.ts";
import { schedules } from "./scaling-schedules.ts";

/** Settings that each pool may have of its own; the environment has them for all pools. */
export const ownVariables = {
  scaling: {
    policy: defaulted("SCALING_POLICY", oneOf(SCALING_POLICIES), "threshold", "Rule that sizes the pool."),
    minActiveGpus: defaulted(
      "MIN_ACTIVE_GPUS",
      whole(0, 10_000),
      "2",
      "Floor for active GPUs; each of them is paid for around the clock.",
    ),
    maxActiveGpus: defaulted(
      "MAX_ACTIVE_GPUS",
      whole(0, 10_000),
      "10",
      "Hard ceiling for GPUs; in a burst that needs more, tasks wait until it is over.",
    ),
    tasksPerGpuThreshold: defaulted(
      "TASKS_PER_GPU_THRESHOLD",
      whole(1, 1_000_000),
      "3",
      "Scale up when queued tasks per GPU exceed this.",
    ),
    scaleUpMultiplier: defaulted(
      "SCALE_UP_MULTIPLIER",
      decimal(0.01, 100),
      "1.0",
      "Policy workload: GPUs for each queued or running task while growing.",
    ),
    scaleDownMultiplier: defaulted(
      "SCALE_DOWN_MULTIPLIER",
      decimal(0, 100),
      "0.9",
      "Policy workload: GPUs to keep for each queued or running task while shrinking.",
    ),
    waitValue: optional(
      "WAIT_VALUE",
      decimal(0.01, 1000),
      "Policy latency: what a second of a task's waiting is worth, in seconds of GPU; 2 where neither this nor the next two are set.",
    ),
    targetWaitSec: optional(
      "TARGET_WAIT_SEC",
      decimal(0.1, 86_400),
      "Policy latency: wait from claimable to claimed that WAIT_VALUE is learnt for, in seconds; instead of WAIT_VALUE.",
    ),
    targetWaitPercentile: defaulted(
      "TARGET_WAIT_PERCENTILE",
      decimal(50, 99.9),
      "95",
      "Percentile at which TARGET_WAIT_SEC holds; 95: five of a hundred tasks may wait longer.",
    ),
    maxWaitValue: defaulted(
      "MAX_WAIT_VALUE",
      decimal(0.01, 1000),
      "100",
      "Highest WAIT_VALUE that is learnt for TARGET_WAIT_SEC; it bounds what a target may cost.",
    ),
    waitCostUsdPerHour: optional(
      "WAIT_COST_USD_PER_HOUR",
      decimal(0.001, 1_000_000),
      "Policy latency: what an hour of a task's waiting costs, in USD; instead of WAIT_VALUE, which is this over the GPU's price.",
    ),
    machinesToKeepIdle: defaulted("MACHINES_TO_KEEP_IDLE", whole(0, 10_000), "0", "Idle GPUs kept for new tasks."),
    maxLaunchesPerMinute: defaulted(
      "MAX_LAUNCHES_PER_MINUTE",
      whole(1, 10_000),
      "60",
      "Most workers that a pool starts in any minute.",
    ),
    workerGracePeriodSec: defaulted(
      "WORKER_GRACE_PERIOD_SEC",
      seconds(0),
      "120",
      "Time from ready until a worker may leave for being idle, in seconds.",
    ),
    scaleDownIdleSec: defaulted(
      "SCALE_DOWN_IDLE_SEC",
      seconds(0),
      "60",
      "Time without a task after which a worker may leave, in seconds.",
      {
        aliases: ["GPU_OVERCAPACITY_IDLE_TIMEOUT_SEC"],
      },
    ),
    schedules: defaulted(
      "SCALING_SCHEDULES",
      schedules(),
      "[]",
      "Windows of the week with their own MIN, MAX and idle buffer.",
    ),
    pollSec: defaulted("ORCHESTRATOR_POLL_SEC", seconds(1), "30", "Longest time between two full passes, in seconds."),
    watchIntervalMs: defaulted(
      "WATCH_INTERVAL_MS",
      whole(50, 20_000),
      "500",
      "Time between two probes of the database, in ms.",
    ),
  },
  timeouts: {
    gpuIdleTimeoutSec: defaulted(
      "GPU_IDLE_TIMEOUT_SEC",
      seconds(1),
      "300",
      "Age of the last heartbeat at which a worker fails, in seconds.",
    ),
    taskStuckTimeoutSec: defaulted(
      "TASK_STUCK_TIMEOUT_SEC",
      seconds(1),
      "300",
      "Time without progress at which a task is stuck, in seconds.",
    ),
    spawningTimeoutSec: defaulted(
      "SPAWNING_TIMEOUT_SEC",
      seconds(1),
      "300",
      "Time without a new boot stage at which a starting worker fails, in seconds; stages below have their own.",
    ),
    bootPullingTimeoutSec: defaulted(
      "BOOT_PULLING_TIMEOUT_SEC",
      seconds(1),
      "1200",
      "Time in which the provider allocates a pod and pulls its image, in seconds.",
    ),
    bootInstallingTimeoutSec: defaulted(
      "BOOT_INSTALLING_TIMEOUT_SEC",
      seconds(1),
      "900",
      "Time in which a start command installs what its image lacks, in seconds.",
    ),
    bootLoadingTimeoutSec: defaulted(
      "BOOT_LOADING_TIMEOUT_SEC",
      seconds(1),
      "900",
      "Time from the start of the worker's program, which may load a model, to its first heartbeat, in seconds.",
    ),
    gracefulShutdownTimeoutSec: defaulted(
      "GRACEFUL_SHUTDOWN_TIMEOUT_SEC",
      seconds(0),
      "600",
      "Time a terminating worker has to finish its task, in seconds.",
    ),
    workerMaxLifetimeSec: defaulted(
      "WORKER_MAX_LIFETIME_SEC",
      seconds(1),
      "86400",
      "Age at which a worker is rotated, in seconds. A pod that is then not deleted ends itself.",
    ),
  },
  alerts: {
    queueWaitAlertMinutes: defaulted(
      "QUEUE_WAIT_ALERT_MINUTES",
      decimal(0.01, 100_000),
      "60",
      "Time that a claimable task waits until the alert queue_waiting opens, in minutes.",
    ),
  },
  breaker: {
    maxWorkerFailureRate: defaulted(
      "MAX_WORKER_FAILURE_RATE",
      decimal(0, 1),
      "0.8",
      "Share of new workers that fail before they are ready; above it, no worker is started.",
    ),
    failureWindowMinutes: defaulted(
      "FAILURE_WINDOW_MINUTES",
      decimal(0.01, 1440),
      "5",
      "Time over which MAX_WORKER_FAILURE_RATE counts, and the pause before the next attempt, in minutes.",
    ),
    minWorkersForRateCheck: defaulted(
      "MIN_WORKERS_FOR_RATE_CHECK",
      whole(1, 10_000),
      "5",
      "Fewest workers in that time for which MAX_WORKER_FAILURE_RATE applies.",
    ),
  },
  sickWorkers: {
    sickWorkerMinTasks: defaulted(
      "SICK_WORKER_MIN_TASKS",
      whole(1, 10_000),
      "3",
      "Different tasks that a worker fails in a row, at least, before it can be called sick.",
    ),
    sickWorkerWindowMinutes: defaulted(
      "SICK_WORKER_WINDOW_MINUTES",
      decimal(0.01, 1440),
      "10",
      "Time within which it fails them, in minutes.",
    ),
    sickWorkerProofMinutes: defaulted(
      "SICK_WORKER_PROOF_MINUTES",
      decimal(0.01, 10_080),
      "60",
      "Age of another worker's completed task of the same types that still proves the worker sick, in minutes.",
    ),
  },
  launch,
  placement,
} satisfies VariablesOf<OwnSettingGroups>;

/** Settings of the account, over all pools: only the environment has them. */
export const accountVariables = {
  budget: {
    maxHourlySpendUsd: optional(
      "MAX_HOURLY_SPEND_USD",
      decimal(0.01, 1_000_000),
      "Highest cost of all pools together, in USD an hour; unset means no limit.",
    ),
    dailyBudgetUsd: optional(
      "DAILY_BUDGET_USD",
      decimal(0.01, 1_000_000),
      "Cost of all pools since midnight UTC at which they shrink to nothing, in USD; unset means no limit.",
    ),
    budgetHard: defaulted(
      "BUDGET_HARD",
      flag(),
      "false",
      "Whether a budget also ends busy workers; their tasks go back to the queue.",
    ),
    noFundsProbeMinutes: defaulted(
      "NO_FUNDS_PROBE_MINUTES",
      decimal(0.01, 1440),
      "5",
      "Time between two attempts to start a worker while the account has no funds, in minutes.",
    ),
  },
} satisfies VariablesOf<AccountSettingGroups>;
