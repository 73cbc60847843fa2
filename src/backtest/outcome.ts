/** What a simulated pool has cost and how long tasks waited. */
export interface Outcome {
  readonly tasks: number;
  /** Tasks that no worker had begun when the simulation gave up; 0 unless a limit keeps the pool from serving them. */
  readonly unserved: number;
  /** From each worker's booking to its end, over all workers. */
  readonly gpuSec: number;
  readonly bootSec: number;
  readonly busySec: number;
  /** Paid for ready workers without a task. */
  readonly idleSec: number;
  /** From when a task could be claimed to its claim. All 0 if no task was served. */
  readonly waitSec: { readonly mean: number; readonly p50: number; readonly p95: number; readonly p99: number };
  readonly spawns: number;
  /** The most workers at one time, booting ones included. */
  readonly peak: number;
  readonly course: Course;
}

/** Averages over equal steps of time. */
export interface Course {
  readonly fromMs: number;
  readonly stepMs: number;
  readonly workers: readonly number[];
  readonly busy: readonly number[];
  readonly queued: readonly number[];
}

/** @param sec waits, in any order; they are sorted in place. */
export function waitsOf(sec: Float64Array): Outcome["waitSec"] {
  sec.sort();
  const at = (share: number) => sec[Math.ceil(share * sec.length) - 1] ?? 0;
  const mean = sec.length === 0 ? 0 : sec.reduce((sum, each) => sum + each, 0) / sec.length;
  return { mean, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
