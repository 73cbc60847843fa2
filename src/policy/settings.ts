/** The part of the configuration that decisions depend on. */
export interface PolicySettings {
  readonly minActiveGpus: number;
  readonly maxActiveGpus: number;
  readonly tasksPerGpuThreshold: number;
  readonly machinesToKeepIdle: number;
  readonly workerGracePeriodSec: number;
  readonly scaleDownIdleSec: number;
  readonly gpuIdleTimeoutSec: number;
  readonly taskStuckTimeoutSec: number;
}
