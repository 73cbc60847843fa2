import type { Course } from "./outcome.ts";

const FEWEST_STEPS = 600;
const FIRST_STEP_MS = 1000;

export interface Counts {
  readonly workers: number;
  readonly busy: number;
  readonly queued: number;
}

/** Averages the size of fleet and queue over steps of time. The longer it lasts, the longer the steps. */
export class CourseRecorder {
  private readonly fromMs: number;
  private stepMs = FIRST_STEP_MS;
  /** Sums of counts times seconds. */
  private sums: { workers: number[]; busy: number[]; queued: number[] } = { workers: [], busy: [], queued: [] };

  constructor(fromMs: number) {
    this.fromMs = fromMs;
  }

  /** The counts held from `startMs` to `endMs`. */
  add(startMs: number, endMs: number, counts: Counts): void {
    while (endMs - this.fromMs > 2 * FEWEST_STEPS * this.stepMs) {
      this.lengthenSteps();
    }
    const { fromMs, stepMs, sums } = this;
    for (let step = Math.floor((startMs - fromMs) / stepMs); fromMs + step * stepMs < endMs; step += 1) {
      const [begin, end] = [fromMs + step * stepMs, fromMs + (step + 1) * stepMs];
      const seconds = (Math.min(end, endMs) - Math.max(begin, startMs)) / 1000;
      addTo(sums.workers, step, counts.workers * seconds);
      addTo(sums.busy, step, counts.busy * seconds);
      addTo(sums.queued, step, counts.queued * seconds);
    }
  }

  course(): Course {
    const { fromMs, stepMs, sums } = this;
    const averages = (values: readonly number[]) => values.map((sum) => sum / (stepMs / 1000));
    return {
      fromMs,
      stepMs,
      workers: averages(sums.workers),
      busy: averages(sums.busy),
      queued: averages(sums.queued),
    };
  }

  private lengthenSteps(): void {
    const { workers, busy, queued } = this.sums;
    this.stepMs *= 2;
    this.sums = { workers: inPairs(workers), busy: inPairs(busy), queued: inPairs(queued) };
  }
}

function inPairs(values: readonly number[]): number[] {
  return values.filter((_, step) => step % 2 === 0).map((value, pair) => value + (values[2 * pair + 1] ?? 0));
}

function addTo(sums: number[], step: number, value: number): void {
  while (sums.length <= step) {
    sums.push(0);
  }
  sums[step] = (sums[step] ?? 0) + value;
}
