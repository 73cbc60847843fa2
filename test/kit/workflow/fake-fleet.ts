import { randomBytes, randomUUID } from "node:crypto";
import { Context } from "@temporalio/activity";
import type { CreatedPod, CreatePodResult } from "../../../src/contract/activities.ts";
import type { WorkerRow, WorkerTimings } from "../../../src/contract/inputs.ts";
import type { Message, WorkerOrder } from "../../../src/contract/pool-api.ts";
import type { Intent, Mode } from "../../../src/contract/intent.ts";
import type { Plan, Snapshot } from "../../../src/contract/plan.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A worker's row as the fake database holds it. */
export type FakeRow = Mutable<Omit<WorkerRow, "nowMs">> & { heartbeatMs: number | null };

/** Acts as one create request does, and answers as the activity. */
export type CreateAnswer = (row: FakeRow, launch: () => CreatedPod) => CreatePodResult | Promise<CreatePodResult>;

/** The state of one pool in memory: its rows, its provider's pods, the messages it got, and the plans of the next watches. */
export interface FakeFleet {
  readonly pool: string;
  readonly timings: Mutable<WorkerTimings>;
  readonly rows: Map<string, FakeRow>;
  /** The provider's pods: pod id → name. */
  readonly pods: Map<string, string>;
  readonly messages: Message[];
  readonly patches: Readonly<Record<string, unknown>>[];
  readonly orders: WorkerOrder[];
  readonly ignored: { kind: string; reason: string }[];
  /** Place of the last signal that was written. */
  signals: number;
  /** How many signals were folded, by kind. */
  readonly folded: Record<string, number>;
  readonly intent: Mutable<Intent>;
  /** Plans of the next watches, first come, first served; a watch without one waits. */
  readonly plans: Plan[];
  /** Answers to the next create requests; none left: the pod is created. */
  readonly createAnswers: CreateAnswer[];
  /** Answers to the next looks for a deleted pod; none left: it is absent. */
  readonly absences: boolean[];
  /** What the provider shows of every pod. */
  podStatus: string;
  /** Why no job may rent a pod; null: any may. */
  refusesJobs: string | null;
  /** After this long a watch returns without a plan. */
  watchMs: number;
  /** Books a row, by default spawning. */
  book(overrides?: Partial<FakeRow>): FakeRow;
  /** The first heartbeat. */
  beat(row: FakeRow): void;
  snapshot(): Snapshot;
  planOf(actions: readonly unknown[]): Plan;
  launch(name: string): CreatedPod;
}

const MODE_OF: Readonly<Record<Exclude<Message["kind"], "scale">, Mode>> = {
  drain: "draining",
  pause: "paused",
  resume: "normal",
  shutdown: "closing",
};

// oxlint-disable-next-line max-lines-per-function -- a factory: each function that it returns is short
export function createFakeFleet(): FakeFleet {
  const pool = `p${randomBytes(4).toString("hex")}`;
  const rows = new Map<string, FakeRow>();
  const pods = new Map<string, string>();
  const intent: Mutable<Intent> = { mode: "normal", hold: null, holdUntilMs: null, version: 1 };
  return {
    pool,
    rows,
    pods,
    intent,
    timings: {
      spawningTimeoutSec: 30,
      gracefulShutdownTimeoutSec: 30,
      workerMaxLifetimeSec: 3600,
      podListLagSec: 0,
      podSettleSec: 0.5,
    },
    messages: [],
    patches: [],
    orders: [],
    ignored: [],
    signals: 0,
    folded: {},
    plans: [],
    createAnswers: [],
    absences: [],
    podStatus: "RUNNING",
    refusesJobs: null,
    watchMs: 300_000,
    book(overrides = {}) {
      const nowMs = Date.now();
      const row: FakeRow = {
        id: `${pool}-${randomBytes(4).toString("hex")}`,
        status: "spawning",
        podId: null,
        postState: null,
        postedMs: null,
        createdMs: nowMs,
        readyMs: null,
        bootStage: "reserved",
        bootStageMs: nowMs,
        terminatingMs: null,
        drainsWithoutDeadline: false,
        goneMs: null,
        statusReason: null,
        busy: false,
        heartbeatMs: null,
        ...overrides,
      };
      rows.set(row.id, row);
      return row;
    },
    beat(row) {
      row.heartbeatMs = Date.now();
      if (row.status === "spawning") {
        row.status = "active";
        row.readyMs = row.heartbeatMs;
      }
    },
    snapshot() {
      const count = (status: WorkerRow["status"], busy?: boolean) =>
        [...rows.values()].filter(
          (row) => row.goneMs === null && row.status === status && (busy === undefined || row.busy === busy),
        ).length;
      return {
        observedAt: new Date().toISOString(),
        intent: { ...intent },
        desired: 0,
        queued: 0,
        spawning: count("spawning"),
        idle: count("active", false),
        busy: count("active", true),
        terminating: count("terminating"),
        failing: count("error"),
        costPerHourUsd: 0,
        spend: { hourlyUsd: 0, todayUsd: 0 },
        breaker: "closed",
        schedule: null,
        suspended: null,
        rule: "threshold",
        reason: "the test says so",
      };
    },
    planOf(actions) {
      return { decisionId: randomUUID(), actions: actions as Plan["actions"], snapshot: this.snapshot() };
    },
    launch(name) {
      const podId = `pod-${randomBytes(3).toString("hex")}`;
      pods.set(podId, name);
      return { podId, costPerHourUsd: 0.4, createdAt: new Date().toISOString() };
    },
  };
}

/** Writes an operator's message to the intent. */
export function applyMessage(intent: Mutable<Intent>, message: Message): void {
  intent.version += 1;
  if (message.kind === "scale") {
    intent.hold = message.target;
  } else {
    intent.mode = MODE_OF[message.kind];
  }
}

/** The pod is created and its id recorded. */
export const created: CreateAnswer = (row, launch) => {
  const pod = launch();
  row.postState = "posted";
  row.podId = pod.podId;
  return { kind: "created", pod, recorded: true };
};

/** The pod is created, but the database did not take its id. */
export const createdUnrecorded: CreateAnswer = (_row, launch) => ({ kind: "created", pod: launch(), recorded: false });

/** No readable answer; behind it there is a pod. */
export const lostWithPod: CreateAnswer = (_row, launch) => {
  launch();
  return { kind: "ambiguous", detail: "the answer was lost" };
};

/** No readable answer; behind it there is nothing. */
export const lost: CreateAnswer = () => ({ kind: "ambiguous", detail: "the answer was lost" });

/** A definite refusal re-arms the name. */
export function refused(reason: string, retryable: boolean): CreateAnswer {
  return (row) => {
    row.postState = null;
    return { kind: "refused", reason, detail: "says the provider", retryable, retryAfterSec: null };
  };
}

/** The process that posts dies: no heartbeat and no answer ever comes. */
export const dies: CreateAnswer = async () => await Context.current().cancelled;

/** The process dies before it could be elected: nothing was posted. */
export const diesBeforeThePost: CreateAnswer = async (row) => {
  row.postState = null;
  row.postedMs = null;
  return await Context.current().cancelled;
};
