import type { WorkerTimings } from "./inputs.ts";

/**
 * Stages of a boot, in their order, each with the setting that is its deadline. reserved to created: the pool's own;
 * pulling to running: what the provider shows; installing, loading: what the pod itself reports.
 */
export const BOOT_STAGES = {
  reserved: "spawningTimeoutSec",
  posting: "spawningTimeoutSec",
  created: "spawningTimeoutSec",
  pulling: "bootPullingTimeoutSec",
  starting: "spawningTimeoutSec",
  running: "spawningTimeoutSec",
  installing: "bootInstallingTimeoutSec",
  loading: "bootLoadingTimeoutSec",
} as const;

type Timeouts = Pick<
  WorkerTimings,
  "spawningTimeoutSec" | "bootPullingTimeoutSec" | "bootInstallingTimeoutSec" | "bootLoadingTimeoutSec"
>;

/** The setting that is the deadline of a stage. One that another version named has that of a start. */
export function bootTimeoutName(stage: string): (typeof BOOT_STAGES)[keyof typeof BOOT_STAGES] {
  return Object.hasOwn(BOOT_STAGES, stage) ? BOOT_STAGES[stage as keyof typeof BOOT_STAGES] : "spawningTimeoutSec";
}

/** How long this stage may last. */
export function bootTimeoutSec(stage: string, timeouts: Timeouts): number {
  return timeouts[bootTimeoutName(stage)] ?? timeouts.spawningTimeoutSec;
}

/** How long any stage may last at least: a stage that begins from now on has no deadline before this time has passed. */
export function shortestBootTimeoutSec(timeouts: Timeouts): number {
  return Math.min(...Object.keys(BOOT_STAGES).map((stage) => bootTimeoutSec(stage, timeouts)));
}

/** How long a boot that uses every stage to the full takes. */
export function longestBootSec(timeouts: Timeouts): number {
  return Object.keys(BOOT_STAGES).reduce((sum, stage) => sum + bootTimeoutSec(stage, timeouts), 0);
}
