import { z } from "zod";
import type { Measured, MeasuredBoots, MeasuredSpeed } from "../../policy/latency/measured.ts";
import type { WaitTarget } from "../../policy/latency/wait-target.ts";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";

/** How old the figures of a watch may be: the policy `latency` gains little from newer ones. */
export const WATCH_MEASURES_SEC = 5;
/** How old the figures may be that people look at. Longer, so that a living watch always comes first: only it learns. */
export const READER_MEASURES_SEC = 60;

/** The measured figures of a pool, and when they were measured. */
export interface Figures extends Measured {
  readonly measuredMs: number;
  readonly boots: readonly MeasuredBoots[];
  /** How long tasks took by GPU type; the placement compares GPU types by it. */
  readonly speeds: readonly MeasuredSpeed[];
}

export interface MeasureRequest {
  /** Older figures are renewed. */
  readonly everySec: number;
  /** `measuredMs` of the figures that the caller has; null: none. */
  readonly knownMs: number | null;
  /** WAIT_VALUE is learnt towards this; null: it is not learnt. */
  readonly target: WaitTarget | null;
}

const kind = { task_type: z.string(), model: z.string().nullable() };
const seconds = z.number().nonnegative();

export const speeds = z.array(
  camelized(z.object({ ...kind, gpu_type: z.string(), samples: z.number(), mean_sec: seconds })),
);

/** The answer of the database function pool_measure. */
export const figures: z.ZodType<Figures> = camelized(
  z.object({
    measured_ms: z.number(),
    boot_sec: seconds.nullable(),
    boots: z.array(
      z.object({
        gpu_type: z.string(),
        cloud: z.string().nullable(),
        data_center: z.string().nullable(),
        samples: z.number(),
        median_sec: seconds,
      }),
    ),
    services: z.array(z.object({ ...kind, samples: z.number(), quantiles_sec: z.array(seconds).length(21) })),
    speeds,
    priors_sec: z.record(z.string(), z.number().positive()),
    demand: z.array(z.object({ ...kind, queued: seconds, arrivals_per_sec: seconds })),
    coming: z.array(z.object({ after: z.string(), ...kind, tasks: z.number() })),
    wait_value: z.number().positive().nullable(),
    waited: z.object({ starts: z.number(), sec: seconds }).nullable(),
  }),
);

/** A pool as an observation has just shown it. */
export interface Measurable {
  readonly nowMs: number;
  readonly queued: number;
  readonly fleetHash: string;
  /** What the pool's next worker can do; null or left out: anything. */
  readonly taskTypes?: readonly string[] | null;
}

/**
 * Measures in a call of its own, so that no observation takes longer for it.
 * @param full also looks for tasks that came and ended since the last time
 * @returns null: the figures that the request knows are young enough, or are still the newest, or another call measures for the
 * first time. @throws DatabaseError
 */
export async function measure(
  database: Pick<Database, "call">,
  pool: string,
  { everySec, knownMs, target }: MeasureRequest,
  { nowMs, queued, fleetHash, taskTypes }: Measurable,
  full: boolean,
): Promise<Figures | null> {
  const ageMs = knownMs === null ? Infinity : nowMs - knownMs;
  if (!full && ageMs >= 0 && ageMs < everySec * 1000) {
    return null;
  }
  const args = {
    p_pool: pool,
    p_open: queued,
    p_fleet_hash: fleetHash,
    p_full: full,
    p_every_sec: full ? 0 : everySec,
    p_target: target && targetArgument(target),
    p_known_ms: knownMs,
    p_types: taskTypes ?? null,
  };
  return await database.call("pool_measure", args, figures.nullable());
}

function targetArgument({ targetSec, ...rest }: WaitTarget): Record<string, unknown> {
  return { ...rest, target_sec: targetSec };
}
