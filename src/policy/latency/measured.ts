/*
 * What the database measures of a pool for the policy `latency`. All times are seconds of the database's clock. What is
 * not known is null or missing, never 0.
 */

/** Tasks of one type and model. Null: the type has no models, or the model is not known. */
export interface TaskKind {
  readonly taskType: string;
  readonly model: string | null;
}

export interface Measured {
  /** Median of the last 20 boots of the pool, from a worker's booking to its first heartbeat; null: no boot is known. */
  readonly bootSec: number | null;
  /** The same by where the pod was rented; only people and the placement read it. */
  readonly boots?: readonly MeasuredBoots[];
  /** By kind, and for each type also all its models together (`model` null). */
  readonly services: readonly MeasuredService[];
  /** Expected service time of a task type, where an operator states one (`task_types`). */
  readonly priorsSec: Readonly<Record<string, number>>;
  /** Kinds that wait or arrive. Their `queued` add up to the observation's, or to a share of it if only a part is looked at. */
  readonly demand: readonly MeasuredDemand[];
  /** Tasks that wait for nothing but a task that runs now. */
  readonly coming: readonly ComingTasks[];
  /** What was learnt so far towards a target wait, from the pool's row; null: nothing yet. */
  readonly waitValue: number | null;
  /** How long the last tasks waited from claimable to claimed; null: fewer than 20 started, or the pool has no target. */
  readonly waited: MeasuredWait | null;
}

export interface MeasuredBoots {
  readonly gpuType: string;
  readonly cloud: string | null;
  readonly dataCenter: string | null;
  /** At most 20. */
  readonly samples: number;
  readonly medianSec: number;
}

export interface MeasuredService extends TaskKind {
  /** Completed tasks, at most the last 400. */
  readonly samples: number;
  /** 21 quantiles from the claim to the end: 0 %, 5 % … 100 %, interpolated as percentile_cont does. */
  readonly quantilesSec: readonly number[];
}

export interface MeasuredDemand extends TaskKind {
  /** Claimable now. */
  readonly queued: number;
  /**
   * Decayed rate of tasks that became claimable: Σ exp(-age / W) / W over those of the last 6 W, W = `rateWindowSec` of
   * the whole pool.
   */
  readonly arrivalsPerSec: number;
}

export interface ComingTasks extends TaskKind {
  /** The running task (`tasks.id`) whose end makes them claimable. */
  readonly after: string;
  readonly tasks: number;
}

export interface MeasuredWait {
  /** Starts that the figure is of, at most the last 400. */
  readonly starts: number;
  /** The wait at TARGET_WAIT_PERCENTILE. */
  readonly sec: number;
}

/** How long tasks of one type took on one GPU type; the placement compares GPU types by it. */
export interface MeasuredSpeed extends TaskKind {
  readonly gpuType: string;
  /** Completed tasks, at most the last 400 of this kind over all GPU types. */
  readonly samples: number;
  readonly meanSec: number;
}
