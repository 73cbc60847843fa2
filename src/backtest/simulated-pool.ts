import type { Action, WorkerAction } from "../contract/plan.ts";
import type { Observation } from "../policy/observation.ts";
import type { Arrival } from "./arrivals.ts";
import { CourseRecorder } from "./course.ts";
import { Measures } from "./measures.ts";
import { type Outcome, waitsOf } from "./outcome.ts";
import { createRandom, type Random } from "./random.ts";
import { bookWorker, idlePace, restingSinceMs, type SimulatedWorker } from "./simulated-worker.ts";
import type { Circumstances, Sizing } from "./world.ts";

const MINUTE_MS = 60_000;

/** Queue and fleet at one instant of virtual time. Tasks are claimed at once, in the order in which they came. */
export class SimulatedPool {
  readonly fromMs: number;
  nowMs: number;
  /** When a boot or a task last ended, or a task came. */
  eventMs: number;
  /** When a task last came, and when one last ended. */
  arrivedMs: number;
  servedMs: number;
  readonly longestMs: number;
  served = 0;
  private readonly sizing: Sizing;
  private readonly arrivals: readonly Arrival[];
  private readonly given: Circumstances;
  private readonly random: Random;
  private readonly measures = new Measures();
  private readonly recorder: CourseRecorder;
  private readonly waits: Float64Array;
  private arrived = 0;
  private readonly line: number[] = [];
  private head = 0;
  private fleet: SimulatedWorker[] = [];
  private launches: number[] = [];
  private waitValue: number | null = null;
  private readonly paid = { gpuSec: 0, bootSec: 0, busySec: 0, todayUsd: 0, day: 0 };
  private spawns = 0;
  private peak = 0;
  private busy = 0;

  constructor(sizing: Sizing, arrivals: readonly Arrival[], given: Circumstances) {
    const first = arrivals[0]?.atMs ?? given.fromMs ?? 0;
    this.sizing = sizing;
    this.arrivals = arrivals;
    this.given = given;
    this.fromMs = Math.min(given.fromMs ?? first, first);
    this.nowMs = this.fromMs;
    this.eventMs = this.fromMs;
    this.arrivedMs = this.fromMs;
    this.servedMs = this.fromMs;
    this.longestMs = arrivals.reduce((longest, { seconds }) => Math.max(longest, seconds * 1000), 0);
    this.random = createRandom(given.seed);
    this.recorder = new CourseRecorder(this.fromMs);
    this.waits = new Float64Array(arrivals.length).fill(Number.NaN);
  }

  get size(): number {
    return this.fleet.length;
  }

  get waiting(): number {
    return this.line.length - this.head;
  }

  get resting(): number {
    return this.fleet.reduce((sum, worker) => sum + (isResting(worker) ? 1 : 0), 0);
  }

  hasAllArrived(): boolean {
    return this.arrived === this.arrivals.length;
  }

  /** Every task is served. */
  isOver(): boolean {
    return this.served === this.arrivals.length;
  }

  nextEventMs(): number {
    const ends = this.fleet.reduce((first, { nextMs }) => Math.min(first, nextMs), Number.POSITIVE_INFINITY);
    return Math.min(ends, this.arrivals[this.arrived]?.atMs ?? Number.POSITIVE_INFINITY);
  }

  /** Lets time pass in which nothing happens. */
  advanceTo(nowMs: number): void {
    const counts = { workers: this.fleet.length, busy: this.busy, queued: this.waiting };
    this.recorder.add(this.nowMs, nowMs, counts);
    this.addToDay(nowMs);
    this.nowMs = nowMs;
  }

  /** Lets everything happen that is due now: ends of boots and tasks first, then arrivals, then claims. */
  happen(): boolean {
    const before = this.arrived;
    const due = this.fleet.filter(({ nextMs }) => nextMs <= this.nowMs);
    for (const worker of due) {
      if (worker.holds === null) {
        this.ready(worker);
      } else {
        this.finish(worker, worker.holds);
      }
    }
    for (let next = this.arrivals[before]; next !== undefined && next.atMs <= this.nowMs;) {
      this.line.push(this.arrived);
      this.measures.arrived(next.type, next.atMs);
      this.arrived += 1;
      this.arrivedMs = next.atMs;
      next = this.arrivals[this.arrived];
    }
    this.claim();
    const hasHappened = due.length > 0 || this.arrived > before;
    this.eventMs = hasHappened ? this.nowMs : this.eventMs;
    return hasHappened;
  }

  observe(): Observation {
    const { nowMs, sizing, fleet } = this;
    this.launches = this.launches.filter((at) => nowMs - at < MINUTE_MS);
    const { measures: wanted } = sizing;
    return {
      nowMs,
      // Simulated workers never fall silent, so their heartbeats count from now.
      observingSinceMs: nowMs,
      massSilenceSinceMs: null,
      intent: { mode: "normal", hold: null, holdUntilMs: null, version: 1 },
      queued: this.waiting,
      waitingSinceMs: null,
      fleet,
      breaker: { state: "closed", sinceMs: this.fromMs, failed: 0, ready: 0 },
      noFunds: null,
      noPlace: null,
      spend: this.spend(),
      launchedLastMinute: this.launches.length,
      failedRecently: 0,
      ...(wanted !== null && { measured: this.measures.at(nowMs, this.waitValue, wanted.percentile) }),
    };
  }

  obey(actions: readonly Action[]): void {
    for (const action of actions) {
      if (action.kind === "spawn") {
        this.spawn(action.count);
      } else {
        this.order(action);
      }
    }
  }

  outcome(): Outcome {
    for (const worker of this.fleet) {
      this.pay(worker);
    }
    const { gpuSec, bootSec, busySec } = this.paid;
    return {
      tasks: this.arrivals.length,
      unserved: this.arrivals.length - this.served,
      gpuSec,
      bootSec,
      busySec,
      idleSec: gpuSec - bootSec - busySec,
      waitSec: waitsOf(this.waits.filter((sec) => !Number.isNaN(sec))),
      spawns: this.spawns,
      peak: this.peak,
      course: this.recorder.course(),
    };
  }

  private ready(worker: SimulatedWorker): void {
    worker.status = "active";
    worker.signal = "ready";
    worker.readyMs = this.nowMs;
    worker.nextMs = Number.POSITIVE_INFINITY;
    this.measures.booted((this.nowMs - worker.createdMs) / 1000);
  }

  private finish(worker: SimulatedWorker, number: number): void {
    const { type = "", seconds = 0 } = this.arrivals[number] ?? {};
    this.measures.served(type, seconds);
    this.paid.busySec += seconds;
    this.served += 1;
    this.servedMs = this.nowMs;
    this.release(worker);
    if (worker.status === "terminating") {
      this.end(worker);
    }
  }

  private release(worker: SimulatedWorker): void {
    worker.lastTaskMs = this.nowMs - (worker.task?.startedMs ?? this.nowMs);
    worker.holds = null;
    worker.task = null;
    worker.releasedMs = this.nowMs;
    worker.nextMs = Number.POSITIVE_INFINITY;
    this.busy -= 1;
  }

  private claim(): void {
    if (this.waiting === 0) {
      return;
    }
    const waitedSec: number[] = [];
    for (const worker of this.restingInTurn().slice(0, this.waiting)) {
      const number = this.line[this.head] ?? 0;
      this.head += 1;
      waitedSec.push(this.begin(worker, number));
    }
    if (this.head > 10_000) {
      this.line.splice(0, this.head);
      this.head = 0;
    }
    const learn = this.sizing.measures?.learn;
    if (learn && waitedSec.length > 0) {
      this.waitValue = learn(this.waitValue, waitedSec);
    }
  }

  /** Those without a task, who claims first in front. */
  private restingInTurn(): SimulatedWorker[] {
    const { given, random, nowMs } = this;
    const turnOf = (worker: SimulatedWorker) => {
      switch (given.claims) {
        case "least_rested":
          return -restingSinceMs(worker);
        case "random":
          return random.uniform();
        case "as_polled":
          return random.exponential() * idlePace(worker, nowMs);
      }
    };
    const turns = this.fleet.filter(isResting).map((worker) => [turnOf(worker), worker] as const);
    return turns.sort(([a], [b]) => a - b).map(([, worker]) => worker);
  }

  private begin(worker: SimulatedWorker, number: number): number {
    const { atMs = this.nowMs, seconds = 0, type = "" } = this.arrivals[number] ?? {};
    const waitedSec = (this.nowMs - atMs) / 1000;
    const progress = { progressMs: null, stuckTimeoutSec: null };
    worker.holds = number;
    worker.task = { id: String(number), startedMs: this.nowMs, ...progress, taskType: type, model: null };
    worker.nextMs = this.nowMs + seconds * 1000;
    if (Number.isNaN(this.waits[number])) {
      this.waits[number] = waitedSec;
    }
    this.busy += 1;
    this.measures.started(type, waitedSec);
    return waitedSec;
  }

  private spawn(count: number): void {
    const { bootSec, bootSigma, priceUsd } = this.given;
    for (let left = count; left > 0; left -= 1) {
      const bootMs = bootSec * 1000 * (bootSigma === 0 ? 1 : Math.exp(bootSigma * this.random.normal()));
      this.fleet.push(bookWorker(`w${this.spawns}`, this.nowMs, bootMs, priceUsd));
      this.launches.push(this.nowMs);
      this.spawns += 1;
    }
    this.peak = Math.max(this.peak, this.fleet.length);
  }

  private order({ worker: id, signal }: WorkerAction): void {
    const worker = this.fleet.find((each) => each.id === id);
    if (worker === undefined || signal.name === "ready" || signal.name === "released") {
      return;
    }
    if (signal.name !== "drain") {
      this.putBack(worker);
      this.end(worker);
    } else if (worker.holds === null) {
      this.end(worker);
    } else if (!signal.order.onlyIdle) {
      worker.status = "terminating";
    }
  }

  /** The task of a worker that is ended goes back to the head of the line; it will start anew. */
  private putBack(worker: SimulatedWorker): void {
    const { holds, task } = worker;
    if (holds === null || task === null) {
      return;
    }
    this.paid.busySec += (this.nowMs - task.startedMs) / 1000;
    this.measures.putBack(task.taskType ?? "");
    this.release(worker);
    this.head -= 1;
    if (this.head < 0) {
      this.head = 0;
      this.line.unshift(holds);
    } else {
      this.line[this.head] = holds;
    }
  }

  private end(worker: SimulatedWorker): void {
    this.pay(worker);
    this.fleet = this.fleet.filter((each) => each !== worker);
  }

  private pay({ createdMs, readyMs }: SimulatedWorker): void {
    this.paid.gpuSec += (this.nowMs - createdMs) / 1000;
    this.paid.bootSec += ((readyMs ?? this.nowMs) - createdMs) / 1000;
  }

  /** The part of the spend since midnight UTC. */
  private addToDay(nowMs: number): void {
    const day = Math.floor(nowMs / 86_400_000);
    if (day !== this.paid.day) {
      this.paid.day = day;
      this.paid.todayUsd = 0;
    }
    const fromMs = Math.max(this.nowMs, day * 86_400_000);
    this.paid.todayUsd += ((this.given.priceUsd ?? 0) * this.fleet.length * (nowMs - fromMs)) / 3_600_000;
  }

  private spend(): Observation["spend"] {
    const { priceUsd } = this.given;
    const hourlyUsd = (priceUsd ?? 0) * this.fleet.length;
    return { hourlyUsd, todayUsd: this.paid.todayUsd, priceUsd, unpriced: 0 };
  }
}

function isResting({ status, holds }: SimulatedWorker): boolean {
  return status === "active" && holds === null;
}
