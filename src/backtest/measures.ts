import type { Measured, MeasuredDemand } from "../policy/latency/measured.ts";
import { bootSecOf, quantile, RATE_WINDOWS, rateWindowSec, SAMPLES } from "../policy/latency/samples.ts";

const QUANTILES = Array.from({ length: 21 }, (_, n) => n / 20);

/** Assumed until the first boot or task has ended, in seconds. It only sets how fast old arrivals are forgotten. */
const FIRST = { bootSec: 120, serviceSec: 180 };

/** The last so many values: their sum, and sorted. */
class Latest {
  private readonly values: number[] = [];
  private readonly ascending: number[] = [];
  private readonly limit: number;
  sum = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  add(value: number): void {
    this.values.push(value);
    this.ascending.splice(placeOf(this.ascending, value), 0, value);
    this.sum += value;
    if (this.values.length > this.limit) {
      const oldest = this.values.shift() ?? 0;
      this.ascending.splice(placeOf(this.ascending, oldest), 1);
      this.sum -= oldest;
    }
  }

  get count(): number {
    return this.values.length;
  }

  quantile(p: number): number | null {
    return quantile(this.ascending, p);
  }
}

/** The first place of `value`, or where it would be. */
function placeOf(ascending: readonly number[], value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? Number.POSITIVE_INFINITY) < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

interface KindMeasures {
  queued: number;
  /** Sum of exp(-age / W), as of `decayedMs`. */
  weight: number;
  decayedMs: number;
  readonly services: Latest;
  /** Null: a task has ended since. */
  quantilesSec: readonly number[] | null;
}

/** Measures a simulated pool as the database measures a living one. */
export class Measures {
  private readonly kinds = new Map<string, KindMeasures>();
  private readonly boots: number[] = [];
  private readonly services = new Latest(SAMPLES.services);
  private readonly waits = new Latest(SAMPLES.starts);
  private bootSec: number | null = null;

  arrived(type: string, atMs: number): void {
    const kind = this.kind(type);
    this.decay(kind, atMs);
    kind.weight += 1;
    kind.queued += 1;
  }

  booted(sec: number): void {
    this.boots.push(sec);
    if (this.boots.length > SAMPLES.boots) {
      this.boots.shift();
    }
    this.bootSec = bootSecOf(this.boots);
  }

  started(type: string, waitedSec: number): void {
    this.kind(type).queued -= 1;
    this.waits.add(waitedSec);
  }

  putBack(type: string): void {
    this.kind(type).queued += 1;
  }

  served(type: string, sec: number): void {
    const kind = this.kind(type);
    kind.services.add(sec);
    kind.quantilesSec = null;
    this.services.add(sec);
  }

  /**
   * @param waitValue what was learnt so far; null: nothing.
   * @param percentile of the waits to give; null: the pool has no target.
   */
  at(nowMs: number, waitValue: number | null, percentile: number | null): Measured {
    const services: { taskType: string; model: null; samples: number; quantilesSec: readonly number[] }[] = [];
    const demand: MeasuredDemand[] = [];
    const windowSec = this.windowSec();
    for (const [taskType, kind] of this.kinds) {
      this.decay(kind, nowMs);
      demand.push({ taskType, model: null, queued: kind.queued, arrivalsPerSec: kind.weight / windowSec });
      if (kind.services.count > 0) {
        kind.quantilesSec ??= QUANTILES.map((p) => kind.services.quantile(p) ?? 0);
        services.push({ taskType, model: null, samples: kind.services.count, quantilesSec: kind.quantilesSec });
      }
    }
    const { bootSec, waits } = this;
    const sec = percentile === null || waits.count < SAMPLES.enoughStarts ? null : waits.quantile(percentile / 100);
    const waited = sec === null ? null : { starts: waits.count, sec };
    return { bootSec, services, priorsSec: {}, demand, coming: [], waitValue, waited };
  }

  private windowSec(): number {
    const { count, sum } = this.services;
    const meanSec = count < SAMPLES.enoughServices ? FIRST.serviceSec : sum / count;
    return rateWindowSec(meanSec, this.bootSec ?? FIRST.bootSec);
  }

  private decay(kind: KindMeasures, nowMs: number): void {
    const windowMs = this.windowSec() * 1000;
    kind.weight *= Math.exp((kind.decayedMs - nowMs) / windowMs);
    kind.decayedMs = nowMs;
    if (kind.weight < Math.exp(-RATE_WINDOWS)) {
      // The database forgets an arrival after so many windows.
      kind.weight = 0;
    }
  }

  private kind(type: string): KindMeasures {
    const known = this.kinds.get(type);
    if (known !== undefined) {
      return known;
    }
    const kind = { queued: 0, weight: 0, decayedMs: 0, services: new Latest(SAMPLES.services), quantilesSec: null };
    this.kinds.set(type, kind);
    return kind;
  }
}
