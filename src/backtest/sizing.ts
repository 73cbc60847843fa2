import type { PoolSettings } from "../contract/pool-settings.ts";
import { decide } from "../policy/decide.ts";
import { bootSecOf } from "../policy/latency/latency.ts";
import { learnt } from "../policy/latency/wait-target.ts";
import { learnsUnder, waitTargetOf } from "../policy/latency/wait-value.ts";
import type { MeasuresWanted, Sizing } from "./world.ts";

/** Without an event, time alone changes a decision no faster than this. */
const LOOK_MS = 5_000;

/** A pool that the shipped `decide()` sizes by these settings. */
export function sizingOf(settings: PoolSettings): Sizing {
  const { policy, minActiveGpus, machinesToKeepIdle, schedules, dailyBudgetUsd } = settings;
  const floors = schedules.map((window) => (window.minActiveGpus ?? 0) + (window.machinesToKeepIdle ?? 0));
  const learner = createLearner(settings);
  return {
    measures: policy === "latency" ? learner.measures : null,
    keeps: Math.max(minActiveGpus, machinesToKeepIdle, ...floors),
    mindsTime: policy === "latency" || schedules.length > 0 || dailyBudgetUsd !== undefined,
    lookMs: LOOK_MS,
    decide(seen) {
      const { actions, snapshot } = decide(settings, seen);
      learner.learns = learnsUnder(snapshot.rule);
      learner.bootSec = bootSecOf(seen);
      return actions;
    },
  };
}

interface Learner {
  readonly measures: MeasuresWanted;
  learns: boolean;
  bootSec: number | null;
}

/** Takes the steps towards TARGET_WAIT_SEC that the database takes for a living pool. */
function createLearner(settings: PoolSettings): Learner {
  const hasTarget = waitTargetOf(settings, 1, true) !== null;
  const learner: Learner = {
    measures: {
      percentile: hasTarget ? settings.targetWaitPercentile : null,
      learn: hasTarget ? (waitValue, waitedSec) => step(settings, learner, waitValue, waitedSec) : null,
    },
    learns: true,
    bootSec: null,
  };
  return learner;
}

function step(
  settings: PoolSettings,
  { learns, bootSec }: Learner,
  waitValue: number | null,
  waitedSec: readonly number[],
): number | null {
  const target = bootSec === null ? null : waitTargetOf(settings, bootSec, learns);
  const isLate = (sec: number) => target !== null && sec > target.targetSec;
  const starts = { starts: waitedSec.length, late: waitedSec.filter(isLate).length };
  return target === null ? waitValue : learnt(waitValue, target, starts);
}
