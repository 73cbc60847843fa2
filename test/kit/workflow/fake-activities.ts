import type { PoolSettings } from "../../../src/contract/pool-settings.ts";
import { Context } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import { pino } from "pino";
import { withBeats } from "../../../src/activities/beating.ts";
import { createBulkActivities } from "../../../src/activities/bulk.ts";
import type {
  BulkActivities,
  PodActivities,
  PoolActivities,
  WorkerActivities,
} from "../../../src/contract/activities.ts";
import type { WorkerStore } from "../../../src/supabase/worker-store.ts";
import type { PodJobActivities } from "../../../src/contract/pod-job.ts";
import { applyMessage, created, type FakeFleet, type FakeRow } from "./fake-fleet.ts";

export type FakeActivities = PoolActivities & BulkActivities & WorkerActivities & PodJobActivities & PodActivities;
export type ActivityName = keyof FakeActivities;

/** Runs before the fake does its part; what it throws is the activity's failure. */
export type Hooks = { [N in ActivityName]?: (...args: Parameters<FakeActivities[N]>) => void | Promise<void> };

export interface Call {
  readonly name: ActivityName;
  readonly args: readonly unknown[];
  readonly atMs: number;
}

const WATCH_PROBE_MS = 10;

/** The activities over a fake fleet: each call is noted, runs its hook, then does what the SQL functions do. */
// oxlint-disable-next-line max-lines-per-function -- a factory: each function that it returns is short
export function createFakeActivities(fleet: FakeFleet, hooks: Hooks, calls: Call[]): FakeActivities {
  const { rows, pods, intent } = fleet;
  const named = (id: string) => rows.get(id) ?? null;
  const isLiving = (row: FakeRow | null): row is FakeRow =>
    row !== null && row.goneMs === null && row.status !== "terminated" && row.status !== "error";

  async function drainMany(orders: Parameters<WorkerStore["drainMany"]>[0]): Promise<string[]> {
    const refused = orders.map(async ({ worker, order }) =>
      (await bodies.drainWorker(worker, order)).outcome === "refused_busy" ? [worker] : [],
    );
    return (await Promise.all(refused)).flat();
  }

  const bodies: FakeActivities = {
    async openPool() {
      const living = [...rows.values()].filter(({ goneMs }) => goneMs === null).map(({ id }) => id);
      return { living, deployment: "ours" };
    },
    async watchPool(_pool, { once = false }) {
      const endAtMs = Date.now() + (once ? 0 : fleet.watchMs);
      for (;;) {
        Context.current().heartbeat();
        const plan = fleet.plans.shift();
        if (plan !== undefined) {
          return { ...plan, snapshot: plan.snapshot && fleet.snapshot() };
        }
        const { intent: wish, spawning, idle, busy, terminating, failing } = fleet.snapshot();
        const closed = wish.mode === "closing" && spawning + idle + busy + terminating + failing === 0;
        if (closed || Date.now() >= endAtMs) {
          return fleet.planOf([]);
        }
        await Context.current().sleep(WATCH_PROBE_MS);
      }
    },
    // Each signal by itself, so that a test can stop or refuse one.
    async recordSignals(pool, { last, messages, ignored, folded }) {
      for (const { place, message } of messages) {
        if (place > fleet.signals) {
          await all.recordMessage(pool, message);
          fleet.signals = place;
        }
      }
      for (const { kind, reason } of ignored) {
        await all.journalIgnored(pool, kind, reason);
      }
      for (const [kind, count] of Object.entries(folded)) {
        fleet.folded[kind] = (fleet.folded[kind] ?? 0) + count;
      }
      fleet.signals = Math.max(fleet.signals, last);
    },
    async recordMessage(_pool, message) {
      fleet.messages.push(message);
      applyMessage(intent, message);
      return { ...intent };
    },
    async reconfigure(_pool, patch) {
      fleet.patches.push(patch);
      const values = Object.assign({}, ...fleet.patches) as PoolSettings;
      return { fingerprint: JSON.stringify(values), values, own: Object.keys(values) };
    },
    async orderWorker(_pool, order) {
      fleet.orders.push(order);
      const row = named(order.worker);
      if (row === null) {
        return { outcome: "unknown", status: null };
      }
      return { outcome: isLiving(row) ? "ordered" : "not_living", status: row.status };
    },
    ...createBulkActivities({ deployment: "ours", workers: { drainMany }, logger: pino({ level: "silent" }) }),
    async journalIgnored(_pool, kind, reason) {
      fleet.ignored.push({ kind, reason });
    },
    async reserveWorkers(_pool, _decisionId, action) {
      const workers = Array.from({ length: action.count }, () => fleet.book().id);
      return { outcome: "reserved", workers, booked: { atMs: Date.now(), timings: { ...fleet.timings } } };
    },
    async loadWorker(id) {
      const row = named(id);
      const own = row?.job === undefined ? {} : { workerMaxLifetimeSec: row.job.timeoutSec };
      return { row: row && { ...row, nowMs: Date.now() }, timings: { ...fleet.timings, ...own } };
    },
    async reservePodJob(_pool, id, { purpose, timeoutSec }) {
      if (fleet.refusesJobs !== null) {
        return { outcome: "over_budget", reason: fleet.refusesJobs };
      }
      if (named(id) !== null) {
        return { outcome: "already_reserved", reason: null };
      }
      fleet.book({ id, job: { purpose, timeoutSec, state: "running", error: null } });
      return { outcome: "reserved", reason: null };
    },
    async drainWorker(id, { reason, onlyIdle, untilTaskEnds = false }) {
      const row = named(id);
      if (!isLiving(row)) {
        return { outcome: "not_living", busy: false };
      }
      if (row.status !== "terminating") {
        if (row.busy && onlyIdle) {
          return { outcome: "refused_busy", busy: true };
        }
        const drainsWithoutDeadline = row.busy && untilTaskEnds;
        Object.assign(row, {
          status: "terminating",
          statusReason: reason,
          terminatingMs: Date.now(),
          drainsWithoutDeadline,
        });
      } else if (row.drainsWithoutDeadline && !onlyIdle && !untilTaskEnds) {
        Object.assign(row, { drainsWithoutDeadline: false, terminatingMs: Date.now() });
      }
      return { outcome: "drained", busy: row.busy, row: { ...row, nowMs: Date.now() } };
    },
    async failWorker(id, _cause, reason, { heartbeatMs = null, onlyIfSpawning = false }) {
      const row = named(id);
      if (!isLiving(row)) {
        return { outcome: "not_living" };
      }
      if (onlyIfSpawning && row.status !== "spawning") {
        return { outcome: "refused_ready" };
      }
      if (heartbeatMs !== null && (row.heartbeatMs ?? 0) > heartbeatMs) {
        return { outcome: "refused_recovered" };
      }
      Object.assign(row, { status: "error", statusReason: reason, busy: false });
      return { outcome: "failed", row: { ...row, nowMs: Date.now() } };
    },
    async expelWorker(id) {
      const row = named(id);
      const closed = row?.busy === true ? 1 : 0;
      if (row !== null) {
        row.busy = false;
      }
      return closed;
    },
    async recordPod(id, pod) {
      Object.assign(named(id) ?? {}, { postState: "posted", podId: pod.podId });
    },
    async burnName(id) {
      Object.assign(named(id) ?? {}, { postState: "burned" });
    },
    async workerGone(id) {
      const row = named(id);
      if (row !== null) {
        row.status = row.status === "error" ? "error" : "terminated";
        row.goneMs = Date.now();
        row.busy = false;
        if (row.job?.state === "running") {
          row.job = { ...row.job, state: "failed", error: row.statusReason };
        }
      }
    },
    async createPod(_pool, id) {
      const row = named(id);
      if (row === null || row.status !== "spawning" || row.postState !== null) {
        return { kind: "not_elected" };
      }
      row.postState = "posting";
      row.postedMs = Date.now();
      const answer = fleet.createAnswers.shift() ?? created;
      return await answer(row, () => fleet.launch(id));
    },
    async findPod(id) {
      const found = [...pods].find(([, name]) => name === id);
      return { pod: found === undefined ? null : { podId: found[0], costPerHourUsd: 0.4, createdAt: null } };
    },
    async checkBoot() {
      return { status: fleet.podStatus };
    },
    async removePod(id) {
      for (const [podId] of [...pods].filter(([, name]) => name === id)) {
        pods.delete(podId);
      }
      return { absent: fleet.absences.shift() ?? true, detail: "the list of the test" };
    },
  };

  const all: FakeActivities = everyActivity((name) => async (...args) => {
    calls.push({ name, args, atMs: Date.now() });
    await (hooks[name] as ((...given: unknown[]) => void | Promise<void>) | undefined)?.(...args);
    return await (bodies[name] as (...given: unknown[]) => Promise<unknown>)(...args);
  });
  return all;
}

/** Activities that serve many pools: the first argument, a pool or an id that begins with it, says which fleet is meant. */
export function dispatchActivities(fleets: ReadonlyMap<string, FakeActivities>): FakeActivities {
  const all = everyActivity((name) => async (...args) => {
    const pool = String(args[0]).split("-")[0] ?? "";
    const activities = fleets.get(pool);
    if (activities === undefined) {
      throw ApplicationFailure.nonRetryable(`${name}: no fake fleet of pool ${pool}; was its test over?`);
    }
    return await (activities[name] as (...given: unknown[]) => Promise<unknown>)(...args);
  });
  const { createPod, findPod, checkBoot, removePod, ...ofTheDatabase } = all;
  // A hook may hold an activity. Those of the provider say by themselves whether their process lives.
  return { ...withBeats(ofTheDatabase), createPod, findPod, checkBoot, removePod };
}

const NAMES: Readonly<Record<ActivityName, true>> = {
  openPool: true,
  watchPool: true,
  recordSignals: true,
  recordMessage: true,
  reconfigure: true,
  signalWorkers: true,
  startWorkers: true,
  orderWorker: true,
  journalIgnored: true,
  reserveWorkers: true,
  reservePodJob: true,
  loadWorker: true,
  drainWorker: true,
  failWorker: true,
  expelWorker: true,
  recordPod: true,
  burnName: true,
  workerGone: true,
  createPod: true,
  findPod: true,
  checkBoot: true,
  removePod: true,
};

function everyActivity(make: (name: ActivityName) => (...args: unknown[]) => Promise<unknown>): FakeActivities {
  return Object.fromEntries((Object.keys(NAMES) as ActivityName[]).map((name) => [name, make(name)])) as never;
}
