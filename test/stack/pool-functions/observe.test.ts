import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

interface Intent {
  readonly mode: string;
  readonly hold: number | null;
  readonly hold_until_ms: number | null;
  readonly version: number;
}

interface Reading {
  readonly now_ms: number;
  readonly observing_since_ms: number | null;
  readonly mass_silence_since_ms: number | null;
  readonly intent: Intent;
  readonly config: unknown;
  readonly queued: number;
  readonly fleet_hash: string;
  readonly fleet: readonly Record<string, unknown>[] | null;
}

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

function observe(known: string | null = null, full = false) {
  return queue.call<Reading>("pool_observe", { p_pool: pool, p_known_fleet: known, p_full: full, p_poll_sec: 30 });
}
function setIntent(args: Readonly<Record<string, unknown>>) {
  return queue.call<Intent>("pool_set_intent", { p_pool: pool, p_kind: "test", ...args });
}

describe("pool_open", () => {
  const open = (name: string, config: unknown = {}) =>
    queue.call<{ living: string[] }>("pool_open", { p_pool: name, p_config: config });
  const poolRow = (name: string) => queue.one<Record<string, unknown>>("select * from pools where name = $1", [name]);

  it("creates the row on the first start, and merges a later config into the stored one", async () => {
    const name = `${pool}-new`;
    expect(await open(name, { minActiveGpus: 1, maxActiveGpus: 5 })).toEqual({ living: [] });
    await open(name, { maxActiveGpus: 8 });
    await open(name);
    expect(await poolRow(name)).toMatchObject({ mode: "normal", config: { minActiveGpus: 1, maxActiveGpus: 8 } });
  });

  it("sets a pool that was shut down to normal, and keeps every other intent", async () => {
    await setIntent({ p_mode: "closing" });
    await open(pool);
    expect(await poolRow(pool)).toMatchObject({ mode: "normal" });
    for (const mode of ["draining", "paused"]) {
      await setIntent({ p_mode: mode, p_hold: 3 });
      await open(pool);
      expect(await poolRow(pool)).toMatchObject({ mode, hold: 3 });
    }
  });

  it("returns the pool's own workers that are not gone, whatever their status", async () => {
    const living = [];
    for (const status of ["spawning", "active", "terminating", "error"]) {
      living.push(await queue.newWorker(pool, { status }));
    }
    await queue.newWorker(pool, { status: "terminated", gone_at: new Date() });
    await queue.newWorker(pool, { origin: "external" });
    await queue.newWorker(await queue.newPool());
    expect((await open(pool)).living).toEqual(living.toSorted());
  });

  it("refuses a name that a workflow or a pod cannot have", async () => {
    for (const name of ["", "Main", "a/b", "-a", "x".repeat(33)]) {
      await expect(open(name)).rejects.toMatchObject({ code: "23514" });
    }
  });
});

describe("pool_set_intent", () => {
  it("raises the version with every message, changes only the given fields, and journals it in words", async () => {
    expect(await setIntent({ p_mode: "paused" })).toEqual({
      mode: "paused",
      hold: null,
      hold_until_ms: null,
      version: 1,
    });
    expect(await setIntent({ p_kind: "scale", p_hold: 4 })).toMatchObject({ mode: "paused", hold: 4, version: 2 });
    expect(await setIntent({ p_mode: "normal" })).toMatchObject({ mode: "normal", hold: 4, version: 3 });
    const events = await queue.rows("select kind, reason from pool_events where pool = $1 order by id", [pool]);
    expect(events).toEqual([
      { kind: "message.test", reason: "mode paused, the policy decides" },
      { kind: "message.scale", reason: "mode paused, held at 4" },
      { kind: "message.test", reason: "mode normal, held at 4" },
    ]);
  });

  it("ends a hold with a time by the clock, without a message", async () => {
    const held = await setIntent({ p_hold: 4, p_hold_sec: 3600 });
    expect(held.hold).toBe(4);
    expect(held.hold_until_ms! - (await observe()).now_ms).toBeGreaterThan(3_590_000);
    await queue.rows("update pools set hold_until = now() - interval '1 second' where name = $1", [pool]);
    expect((await observe()).intent).toMatchObject({ hold: null, hold_until_ms: null, version: held.version });
  });

  it("journals a hold that is over as none, and a hold that goes on with its end", async () => {
    await setIntent({ p_hold: 4, p_hold_sec: 3600 });
    await queue.rows("update pools set hold_until = '2999-01-01T00:00:00Z' where name = $1", [pool]);
    await setIntent({ p_mode: "paused" });
    await queue.rows("update pools set hold_until = now() - interval '1 second' where name = $1", [pool]);
    await setIntent({ p_mode: "normal" });
    const events = await queue.rows(
      "select reason, details ->> 'hold' as hold from pool_events where pool = $1 order by id",
      [pool],
    );
    expect(events.slice(1)).toEqual([
      { reason: "mode paused, held at 4, until 2999-01-01T00:00:00Z", hold: "4" },
      { reason: "mode normal, the policy decides", hold: null },
    ]);
  });

  it("does not give the old hold's time to a new hold without one", async () => {
    await setIntent({ p_hold: 4, p_hold_sec: 3600 });
    expect(await setIntent({ p_hold: 5 })).toMatchObject({ hold: 5, hold_until_ms: null });
  });

  it("gives control back to the policy, from a hold with a time and from one without", async () => {
    await setIntent({ p_hold: 4, p_hold_sec: 3600 });
    expect(await setIntent({ p_release_hold: true })).toMatchObject({ hold: null, hold_until_ms: null });
    await setIntent({ p_hold: 0 });
    expect((await observe()).intent.hold).toBe(0);
    expect(await setIntent({ p_release_hold: true })).toMatchObject({ hold: null });
  });

  it("refuses a negative hold, an unknown mode and an unknown pool", async () => {
    await expect(setIntent({ p_hold: -1 })).rejects.toMatchObject({ code: "23514" });
    await expect(setIntent({ p_mode: "sleeping" })).rejects.toMatchObject({ code: "23514" });
    await expect(setIntent({ p_pool: "nowhere", p_mode: "paused" })).rejects.toMatchObject({
      code: "PT404",
      message: "pool nowhere does not exist",
    });
    expect((await observe()).intent.version).toBe(0);
  });
});

describe("pool_observe", () => {
  it("returns intent, config, queue and fleet of the pool, by one clock", async () => {
    await queue.rows("update pools set config = '{\"maxActiveGpus\": 3}' where name = $1", [pool]);
    await queue.rows(
      "insert into task_types (name, stuck_timeout_sec) values ('long_video', 1800) on conflict do nothing",
    );
    const task = await queue.addTask(pool, { task_type: "long_video" });
    await queue.addTasks(pool, 2);
    const busy = await queue.newWorker(pool, { pod_id: "pod-1", cost_per_hr_usd: 0.34 });
    const lease = await queue.lease(busy);
    await queue.call("report_progress", { ...leaseArgs(lease), p_progress: 0.25, p_message: "a quarter" });
    await queue.newWorker(pool, { status: "terminated", gone_at: new Date() });
    await queue.newWorker(await queue.newPool());

    const reading = await observe();
    expect(reading).toMatchObject({
      intent: { mode: "normal", hold: null, version: 0 },
      config: { maxActiveGpus: 3 },
      queued: 2,
      fleet: [
        {
          id: busy,
          status: "active",
          origin: "pool",
          pod_id: "pod-1",
          cost_per_hour_usd: 0.34,
          task: { id: task, progress: 0.25, stuck_timeout_sec: 1800 },
        },
      ],
    });
    expect(reading.fleet).toHaveLength(1);
    expect(Math.abs(reading.now_ms - Date.now())).toBeLessThan(60_000);
  });

  it("leaves out the fleet if it equals the known one, except in a full pass", async () => {
    await queue.newWorkers(pool, 3);
    const { fleet_hash: hash, fleet } = await observe();
    expect(fleet).toHaveLength(3);
    expect(await observe(hash)).toMatchObject({ fleet_hash: hash, fleet: null });
    expect((await observe("another hash")).fleet).toHaveLength(3);
    expect((await observe(hash, true)).fleet).toHaveLength(3);
  });

  it("has a hash for an empty fleet too", async () => {
    const { fleet_hash: hash, fleet } = await observe();
    expect(fleet).toEqual([]);
    expect((await observe(hash)).fleet).toBeNull();
  });

  it.each<[string, (worker: string, spawning: string) => Promise<unknown>]>([
    ["a new worker", () => queue.newWorker(pool)],
    ["a worker that is gone", (worker) => queue.call("worker_gone", { p_worker_id: worker })],
    ["a first heartbeat", (_, spawning) => queue.call("worker_heartbeat", { p_worker_id: spawning })],
    ["a drain", (worker) => queue.call("drain_worker", { p_worker_id: worker, p_reason: "test", p_only_idle: true })],
    [
      "a failure",
      (worker) => queue.call("fail_worker", { p_worker_id: worker, p_lease_cause: "stuck", p_reason: "x" }),
    ],
    ["a boot stage", (_, spawning) => queue.call("worker_boot_stage", { p_worker_id: spawning, p_stage: "pulling" })],
    ["a claim", (worker) => queue.lease(worker)],
    [
      "an order that was given",
      (worker) =>
        queue.call("pool_record_decision", {
          p_pool: pool,
          p_decision_id: "d",
          p_kind: "decision",
          p_reason: "idle",
          p_details: {},
          p_signals: [{ worker, signal: "drain" }],
        }),
    ],
  ])("sends the fleet again after %s", async (_, change) => {
    const worker = await queue.newWorker(pool);
    const spawning = await queue.newWorker(pool, { status: "spawning" });
    await queue.addTask(pool);
    const before = await observe();
    await change(worker, spawning);
    const after = await observe(before.fleet_hash);
    expect(after.fleet_hash).not.toBe(before.fleet_hash);
    expect(after.fleet).not.toBeNull();
  });

  it("sends the fleet again after a release, and with the next full pass if a task came and went unseen", async () => {
    const worker = await queue.newWorker(pool);
    await queue.addTask(pool);
    const lease = await queue.lease(worker);
    const busy = await observe();
    expect(busy.fleet).toMatchObject([{ task: { id: lease.task_id }, released_ms: null }]);
    await queue.release(lease);
    const idle = await observe(busy.fleet_hash);
    expect(idle.fleet).toMatchObject([{ task: null, released_ms: expect.any(Number) }]);
    await queue.release(await queue.lease(worker));
    const [later] = (await observe(idle.fleet_hash, true)).fleet!;
    expect(later!.released_ms as number).toBeGreaterThan(idle.fleet![0]!.released_ms as number);
  });

  it("does not send the fleet again for a heartbeat or for progress alone", async () => {
    const worker = await queue.newWorker(pool);
    await queue.addTask(pool);
    await queue.call("worker_heartbeat", { p_worker_id: worker });
    const lease = await queue.lease(worker);
    const { fleet_hash: known } = await observe();
    await queue.call("worker_heartbeat", { p_worker_id: worker, p_vram_total_mb: 100, p_vram_used_mb: 50 });
    await queue.call("report_progress", { ...leaseArgs(lease), p_progress: 0.5, p_message: "half" });
    expect(await observe(known)).toMatchObject({ fleet_hash: known, fleet: null });
  });

  it("invariant 8: keeps the start of good observations over full passes, and renews it after a gap", async () => {
    const since = async (full: boolean) => (await observe(null, full)).observing_since_ms;
    expect(await since(false)).toBeNull();
    const first = await since(true);
    expect(first).not.toBeNull();
    expect(await since(true)).toBe(first);
    expect(await since(false)).toBe(first);
    const lastSeen = (ago: string) =>
      queue.rows(
        "update pools set observed_at = now() - $2::interval, observing_since = observing_since - interval '1 hour' where name = $1",
        [pool, ago],
      );
    // Two missed passes of 30 s and ten seconds of grace.
    await lastSeen("65 seconds");
    const unbroken = await since(true);
    expect(unbroken).toBe(first! - 3_600_000);
    await lastSeen("75 seconds");
    expect(await since(true)).toBeGreaterThanOrEqual(first!);
  });

  it("invariant 4: returns when a mass silence began, and restarts all ages when it is over", async () => {
    const seen = async () => {
      const { observing_since_ms: since, mass_silence_since_ms: silence } = await observe(null, true);
      return { since, silence };
    };
    const mark = (lasts: boolean) => queue.call("pool_mark_mass_silence", { p_pool: pool, p_lasts: lasts });
    const before = await seen();
    expect(before.silence).toBeNull();
    await mark(true);
    const during = await seen();
    expect(during).toEqual({ since: before.since, silence: expect.any(Number) });
    await mark(true);
    expect(await seen()).toEqual(during);
    await mark(false);
    const after = await seen();
    expect(after.silence).toBeNull();
    expect(after.since).toBeGreaterThanOrEqual(during.silence!);
  });

  it("invariant 3: a pool that does not exist is an error, not an empty pool", async () => {
    const args = { p_pool: "nowhere", p_known_fleet: null, p_poll_sec: 30 };
    for (const full of [true, false]) {
      await expect(queue.call("pool_observe", { ...args, p_full: full })).rejects.toMatchObject({
        code: "PT404",
        message: "pool nowhere does not exist",
      });
    }
  });
});

describe("pool_record_decision", () => {
  it("invariant 11: journals a decision with its reason and inputs, and records the signal of each worker", async () => {
    const [signalled, other] = await queue.newWorkers(pool, 2);
    await queue.call("pool_record_decision", {
      p_pool: pool,
      p_decision_id: "d-7",
      p_kind: "decision",
      p_reason: "one too many",
      p_details: { desired: 1 },
      p_signals: [{ worker: signalled, signal: "drain" }],
    });
    const events = "select kind, reason, decision_id, details from pool_events where pool = $1";
    expect(await queue.rows(events, [pool])).toEqual([
      { kind: "decision", reason: "one too many", decision_id: "d-7", details: { desired: 1 } },
    ]);
    const { fleet } = await observe();
    expect(fleet!.find(({ id }) => id === signalled)).toMatchObject({ signal: "drain", signal_ms: expect.any(Number) });
    expect(fleet!.find(({ id }) => id === other)).toMatchObject({ signal: null, signal_ms: null });
  });
});
