import type { Measured, TaskKind } from "./measured.ts";
import { SAMPLES } from "./samples.ts";

/** How long tasks of one kind take: quantiles at equal steps from 0 to 100 %, and straight lines between them. */
export interface ServiceTimes {
  readonly quantilesSec: readonly number[];
  readonly meanSec: number;
  readonly samples: number;
  /** False: it is a prior. */
  readonly isMeasured: boolean;
}

const PRIOR_SEC = 180;
/** A prior counts like so many tasks. */
const PRIOR_SAMPLES = 20;
/** A longer time is a mistake: no lease lasts that long. */
const LONGEST_SEC = 1e7;
/** Keeps a share of what never takes any time from being a division by zero. */
const SHORTEST_SEC = 1;
const PRIOR = priorOf(PRIOR_SEC);

/** A type with a prior, or nothing at all, is expected to take from half of it to one and a half of it. */
function priorOf(sec: number): ServiceTimes {
  return { quantilesSec: [0.5 * sec, sec, 1.5 * sec], meanSec: sec, samples: PRIOR_SAMPLES, isMeasured: false };
}

/** Service times by kind. A model with few samples is taken as its type, a type with few samples as its prior. */
export class ServiceBook {
  /** Of a task whose kind is not known: those of the type with most samples. */
  readonly typical: ServiceTimes;
  private readonly byType = new Map<string, Map<string | null, ServiceTimes>>();
  private readonly priors: ReadonlyMap<string, ServiceTimes>;

  constructor(measured: Pick<Measured, "services" | "priorsSec"> | undefined) {
    let typical = PRIOR;
    for (const { taskType, model, samples, quantilesSec } of measured?.services ?? []) {
      if (samples >= SAMPLES.enoughServices && isPlausible(quantilesSec)) {
        const times = { quantilesSec, meanSec: meanWithin(quantilesSec, Infinity), samples, isMeasured: true };
        const models = this.byType.get(taskType) ?? new Map<string | null, ServiceTimes>();
        this.byType.set(taskType, models.set(model, times));
        typical = model === null && (!typical.isMeasured || samples > typical.samples) ? times : typical;
      }
    }
    const priors = Object.entries(measured?.priorsSec ?? {}).filter(([, sec]) => sec > 0 && sec <= LONGEST_SEC);
    this.priors = new Map(priors.map(([taskType, sec]) => [taskType, priorOf(sec)]));
    this.typical = typical;
  }

  of({ taskType, model }: TaskKind): ServiceTimes {
    return this.timesOf(taskType, model);
  }

  timesOf(taskType: string, model: string | null): ServiceTimes {
    const models = this.byType.get(taskType);
    return models?.get(model) ?? models?.get(null) ?? this.priors.get(taskType) ?? PRIOR;
  }
}

function isPlausible(quantilesSec: readonly number[]): boolean {
  const isAscending = quantilesSec.every((sec, n) => sec >= (quantilesSec[n - 1] ?? 0));
  return quantilesSec.length > 1 && isAscending && (quantilesSec.at(-1) ?? Infinity) <= LONGEST_SEC;
}

/**
 * The share of tasks that run on for `sec` among those that have run for `elapsedSec`. Beyond the longest task that was
 * seen, what has run for a time is expected to go on in proportion to it.
 */
export function shareThatRunsOn(times: ServiceTimes, elapsedSec: number, sec: number): number {
  const elapsed = Math.max(0, elapsedSec);
  return survivors(times, elapsed + sec) / survivors(times, elapsed);
}

/** Relative to the seen tasks and one more, which is longer than all of them. */
function survivors({ quantilesSec, samples }: ServiceTimes, sec: number): number {
  const longest = Math.max(SHORTEST_SEC, quantilesSec.at(-1) ?? 0);
  return samples * (1 - shareWithin(quantilesSec, sec)) + (sec <= longest ? 1 : longest / sec);
}

function shareWithin(quantilesSec: readonly number[], sec: number): number {
  const steps = quantilesSec.length - 1;
  // The last quantile that is not above `sec`; -1: all are.
  let step = -1;
  for (let width = 16; width >= 1; width /= 2) {
    while ((quantilesSec[step + width] ?? Infinity) <= sec) {
      step += width;
    }
  }
  if (step === -1 || step === steps) {
    return step === -1 ? 0 : 1;
  }
  const from = quantilesSec[step] ?? 0;
  const to = quantilesSec[step + 1] ?? Infinity;
  return (step + (sec - from) / (to - from)) / steps;
}

/** The mean of min(service time, limit). */
export function meanWithin(quantilesSec: readonly number[], limitSec: number): number {
  let sum = 0;
  for (let n = 1; n < quantilesSec.length; n++) {
    const from = quantilesSec[n - 1] ?? 0;
    const to = quantilesSec[n] ?? 0;
    if (to <= limitSec) {
      sum += (from + to) / 2;
    } else if (from >= limitSec) {
      sum += limitSec;
    } else {
      const share = (limitSec - from) / (to - from);
      sum += (share * (from + limitSec)) / 2 + (1 - share) * limitSec;
    }
  }
  return sum / (quantilesSec.length - 1);
}
