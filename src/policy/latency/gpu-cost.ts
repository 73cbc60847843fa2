import type { MeasuredSpeed } from "./measured.ts";

/** Completed tasks after which a GPU type counts as measured. */
const ENOUGH = 20;

export interface GpuCosts {
  /** What GPU types are compared by: USD an hour, for a GPU as fast as the average; Infinity: its price is not known. */
  readonly comparedUsd: (gpuType: string, usdPerHour: number | null) => number;
  /** USD for a task of the mean mix; null: the price is not known, or the type not measured. */
  readonly usdPerTask: (gpuType: string, usdPerHour: number | null) => number | null;
}

interface Total {
  tasks: number;
  sec: number;
}

/**
 * What a task costs on each GPU type. Each kind of task is compared with itself, so that a GPU type that got the longer
 * kinds is not taken for slow. A type that is not measured counts as average, so it is compared by its price alone.
 */
export function gpuCosts(speeds: readonly MeasuredSpeed[]): GpuCosts {
  const usable = speeds.filter(
    ({ samples, meanSec }) => samples > 0 && meanSec > 0 && Number.isFinite(samples * meanSec),
  );
  const all: Total = { tasks: 0, sec: 0 };
  const ofKind = new Map<string, Total>();
  for (const speed of usable) {
    add(all, speed);
    add(entry(ofKind, kindOf(speed)), speed);
  }
  const ofGpu = new Map<string, { tasks: number; relative: number }>();
  for (const speed of usable) {
    const { tasks, sec } = entry(ofKind, kindOf(speed));
    const gpu = ofGpu.get(speed.gpuType) ?? { tasks: 0, relative: 0 };
    gpu.tasks += speed.samples;
    gpu.relative += (speed.samples * speed.meanSec * tasks) / sec;
    ofGpu.set(speed.gpuType, gpu);
  }
  const relativeTime = (gpuType: string) => {
    const gpu = ofGpu.get(gpuType);
    return gpu === undefined || gpu.tasks < ENOUGH ? null : gpu.relative / gpu.tasks;
  };
  return {
    comparedUsd: (gpuType, usdPerHour) => (usdPerHour ?? Infinity) * (relativeTime(gpuType) ?? 1),
    usdPerTask: (gpuType, usdPerHour) => {
      const relative = relativeTime(gpuType);
      return usdPerHour === null || relative === null ? null : (usdPerHour * relative * all.sec) / all.tasks / 3600;
    },
  };
}

function kindOf({ taskType, model }: MeasuredSpeed): string {
  return JSON.stringify([taskType, model]);
}

function entry(totals: Map<string, Total>, key: string): Total {
  const total = totals.get(key) ?? { tasks: 0, sec: 0 };
  totals.set(key, total);
  return total;
}

function add(total: Total, { samples, meanSec }: MeasuredSpeed): void {
  total.tasks += samples;
  total.sec += samples * meanSec;
}
