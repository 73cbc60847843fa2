import type { Fleet } from "../fleet.ts";
import type { Observation, ObservedTask } from "../observation.ts";
import type { ComingTasks, MeasuredDemand } from "./measured.ts";
import { meanWithin, ServiceBook, type ServiceTimes, shareThatRunsOn } from "./service-times.ts";

/** Arrivals come in bursts: their number varies twice as much as that of independent ones. */
const BURSTS = 2;
/** A queued task may take a worker for a much shorter or longer time than its kind does. */
const QUEUE_VARIANCE = 0.1;
/** More than any queue takes in, and the most that is counted of a queue. Both keep every sum finite. */
const MOST_PER_SEC = 10_000;
const MOST_TASKS = 10_000;

/** How many tasks will be at work some time from now. */
export interface Outlook {
  /** Tasks that are short beside a boot share a worker if waiting is worth little, so they count as less than one. */
  readonly mean: number;
  /** Of what runs and arrives. */
  readonly variance: number;
  readonly queueVariance: number;
  readonly arrivalsPerSec: number;
  /** Mean service time of what waits and arrives. */
  readonly taskSec: number;
  /** Most of that is measured, not a prior. */
  readonly isMeasured: boolean;
}

export interface Horizon {
  /** How far to look ahead. */
  readonly aheadSec: number;
  readonly bootSec: number;
  readonly waitValue: number;
}

interface Sum {
  mean: number;
  variance: number;
  arrivalsPerSec: number;
  tasks: number;
  measuredTasks: number;
  taskSec: number;
}

export function lookAhead(observation: Observation, fleet: Fleet, horizon: Horizon): Outlook {
  const { measured, queued } = observation;
  const book = new ServiceBook(measured);
  const sum: Sum = { mean: 0, variance: 0, arrivalsPerSec: 0, tasks: 0, measuredTasks: 0, taskSec: 0 };
  for (const { task } of fleet.busy) {
    const share = task === null ? 0 : runsOn(book, task, observation.nowMs, horizon);
    sum.mean += share;
    sum.variance += share * (1 - share);
  }
  addDemand(sum, book, measured?.demand ?? [], queued, horizon);
  addComing(sum, book, observation, measured?.coming ?? [], horizon);
  const { mean, variance, arrivalsPerSec, tasks } = sum;
  return {
    mean,
    variance,
    queueVariance: QUEUE_VARIANCE * queued,
    arrivalsPerSec,
    taskSec: tasks > 0 ? sum.taskSec / tasks : book.typical.meanSec,
    isMeasured: tasks > 0 ? sum.measuredTasks > tasks / 2 : book.typical.isMeasured,
  };
}

/** A queue whose kinds were not looked at yet is of the kinds that arrive. */
function addDemand(
  sum: Sum,
  book: ServiceBook,
  demand: readonly MeasuredDemand[],
  queued: number,
  horizon: Horizon,
): void {
  const totalOf = (weight: (kind: MeasuredDemand) => number) => demand.reduce((all, kind) => all + weight(kind), 0);
  const queuedOf = (kind: MeasuredDemand) => atLeastZero(kind.queued);
  const weightOf = totalOf(queuedOf) > 0 ? queuedOf : perSecOf;
  const total = totalOf(weightOf);
  for (const kind of demand) {
    addKind(sum, book.of(kind), total > 0 ? (queued * weightOf(kind)) / total : 0, perSecOf(kind), horizon);
  }
  if (total === 0) {
    addKind(sum, book.typical, queued, 0, horizon);
  }
}

function perSecOf({ arrivalsPerSec }: MeasuredDemand): number {
  return Math.min(MOST_PER_SEC, atLeastZero(arrivalsPerSec));
}

function addKind(sum: Sum, times: ServiceTimes, waiting: number, perSec: number, horizon: Horizon): void {
  const come = perSec * meanWithin(times.quantilesSec, horizon.aheadSec);
  sum.mean += workersEach(times, horizon) * (waiting + come);
  sum.variance += BURSTS * come;
  sum.arrivalsPerSec += perSec;
  const tasks = waiting + perSec * horizon.bootSec;
  sum.tasks += tasks;
  sum.measuredTasks += times.isMeasured ? tasks : 0;
  sum.taskSec += tasks * times.meanSec;
}

/** What waits for a running task arrives when that one ends. */
function addComing(
  sum: Sum,
  book: ServiceBook,
  { fleet, nowMs }: Observation,
  coming: readonly ComingTasks[],
  horizon: Horizon,
): void {
  if (coming.length === 0) {
    return;
  }
  const running = new Map(fleet.flatMap(({ task }) => (task === null ? [] : [[task.id, task] as const])));
  for (const kind of coming) {
    const first = running.get(kind.after);
    const ends = 1 - (first ? runsOn(book, first, nowMs, horizon) : shareThatRunsOn(book.typical, 0, horizon.aheadSec));
    const times = book.of(kind);
    // It comes at any moment until then, so it is at work then with the chance of an arrival.
    const come =
      (Math.min(MOST_TASKS, atLeastZero(kind.tasks)) * ends * meanWithin(times.quantilesSec, horizon.aheadSec)) /
      horizon.aheadSec;
    sum.mean += workersEach(times, horizon) * come;
    sum.variance += come;
  }
}

function runsOn(
  book: ServiceBook,
  { taskType = null, model = null, startedMs }: ObservedTask,
  nowMs: number,
  { aheadSec }: Horizon,
) {
  const times = taskType === null ? book.typical : book.timesOf(taskType, model);
  return shareThatRunsOn(times, (nowMs - startedMs) / 1000, aheadSec);
}

/** Workers for each waiting task. A boot is not worth it for one short task, but for several one after the other. */
function workersEach({ meanSec }: ServiceTimes, { waitValue, bootSec }: Horizon): number {
  return Math.min(1, Math.sqrt((waitValue * meanSec) / bootSec));
}

/** A figure that is no number counts as none. */
function atLeastZero(value: number): number {
  return value > 0 && Number.isFinite(value) ? value : 0;
}
