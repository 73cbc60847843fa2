import type { Compared, Comparison } from "../../../backtest/compare.ts";
import type { PoolSettings } from "../../../contract/pool-settings.ts";
import type { Context } from "../../context.ts";
import { poolName } from "../../pool-name.ts";
import { candidateOf, present, settingsOf } from "./candidates.ts";
import { runSimulation, showSimulation, type SimulationOptions } from "./simulation.ts";
import { fromHistory } from "./sources.ts";

/** The defaults, then what is worth a try in most pools. What none of them names stays as the pool has it. */
const TRIED = [
  "SCALING_POLICY=threshold,TASKS_PER_GPU_THRESHOLD=3,MIN_ACTIVE_GPUS=2,MAX_ACTIVE_GPUS=10",
  "MIN_ACTIVE_GPUS=0",
  "SCALING_POLICY=threshold,TASKS_PER_GPU_THRESHOLD=1,MIN_ACTIVE_GPUS=0",
  "SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0",
  "SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0,MAX_ACTIVE_GPUS=1000",
  "SCALING_POLICY=latency,WAIT_VALUE=0.5,MIN_ACTIVE_GPUS=0",
  "SCALING_POLICY=latency,WAIT_VALUE=2,MIN_ACTIVE_GPUS=0",
  "SCALING_POLICY=latency,WAIT_VALUE=5,MIN_ACTIVE_GPUS=0",
  "SCALING_POLICY=latency,WAIT_VALUE=2,MIN_ACTIVE_GPUS=0,MAX_ACTIVE_GPUS=1000",
  "SCALING_POLICY=latency,TARGET_WAIT_SEC=60,MIN_ACTIVE_GPUS=0,MAX_ACTIVE_GPUS=1000",
];

/** Shows what the last days would have cost by other settings. */
export async function advise(context: Context, options: SimulationOptions): Promise<void> {
  const pool = poolName(context, options);
  const settings = await settingsOf(context, pool);
  const candidates = [present(settings), ...triedFor(settings).map((set) => candidateOf(settings, set))];
  const simulation = runSimulation(context, options, await fromHistory(context, pool, options.since), candidates);
  await showSimulation(context, options, simulation, adviceOf(simulation.comparison));
}

export function triedFor({ minActiveGpus }: PoolSettings): string[] {
  return TRIED.filter((set) => set !== "MIN_ACTIVE_GPUS=0" || minActiveGpus > 0);
}

/** What the table says of the present settings, which come first, in sentences. */
export function adviceOf({ results }: Comparison): string[] {
  const [now, ...others] = results;
  if (now === undefined) {
    return [];
  }
  const served = others.filter(({ outcome }) => outcome.unserved === 0);
  const cheapest = bestOf(
    served.filter((each) => isNoSlower(each, now) && percentLess(each, now) >= 1),
    ({ outcome }) => outcome.gpuSec,
  );
  const fastest = bestOf(
    served.filter((each) => each.outcome.gpuSec <= now.outcome.gpuSec && isFaster(each, now)),
    ({ outcome }) => outcome.waitSec.p95,
  );
  const lines = [
    ...(cheapest === null ? [] : [`No slower and ${percentLess(cheapest, now)} % cheaper: ${cheapest.label}`]),
    ...(fastest === null || fastest === cheapest
      ? []
      : [`No dearer, and 95 % wait at most ${Math.ceil(fastest.outcome.waitSec.p95)} s: ${fastest.label}`]),
  ];
  return lines.length === 0 ? ["None of these is both as fast and as cheap as the present settings."] : lines;
}

function isNoSlower({ outcome }: Compared, now: Compared): boolean {
  return outcome.waitSec.mean <= now.outcome.waitSec.mean && outcome.waitSec.p95 <= now.outcome.waitSec.p95;
}

function isFaster(each: Compared, now: Compared): boolean {
  return isNoSlower(each, now) && each.outcome.waitSec.p95 < now.outcome.waitSec.p95;
}

function bestOf(all: readonly Compared[], measure: (each: Compared) => number): Compared | null {
  return all.toSorted((a, b) => measure(a) - measure(b))[0] ?? null;
}

function percentLess({ outcome }: Compared, now: Compared): number {
  return Math.round((1 - outcome.gpuSec / now.outcome.gpuSec) * 100);
}
