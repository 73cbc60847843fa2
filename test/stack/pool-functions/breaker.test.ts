import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

interface Reading {
  readonly breaker: {
    readonly state: string;
    readonly since_ms: number;
    readonly failed: number;
    readonly ready: number;
  };
  readonly launched_last_minute: number;
  readonly failed_recently: number;
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

function observe(windowMin = 5, minBoots = 0) {
  return queue.call<Reading>("pool_observe", {
    p_pool: pool,
    p_known_fleet: null,
    p_full: false,
    p_poll_sec: 30,
    p_failure_window_min: windowMin,
    p_min_boots: minBoots,
  });
}
function turn(state: string, reason = "a test") {
  return queue.call("pool_record_decision", {
    p_pool: pool,
    p_decision_id: randomUUID(),
    p_kind: "decision",
    p_reason: "stay",
    p_details: {},
    p_breaker: state,
    p_breaker_reason: reason,
  });
}
async function stateNow() {
  return (await observe()).breaker.state;
}
function minutesAgo(minutes: number) {
  return new Date(Date.now() - minutes * 60_000);
}
function longClosed() {
  return queue.rows("update pools set breaker_since = now() - interval '1 day' where name = $1", [pool]);
}
function fail(worker: string, evidence: string | null = null, more: Readonly<Record<string, unknown>> = {}) {
  return queue.call<{ outcome: string }>("fail_worker", {
    p_worker_id: worker,
    p_lease_cause: "worker_died",
    p_reason: "a test",
    p_evidence: evidence,
    ...more,
  });
}
function eventsOf(prefix: string) {
  return queue.rows<{ kind: string; reason: string }>(
    "select kind, reason from pool_events where pool = $1 and starts_with(kind, $2) order by id",
    [pool, prefix],
  );
}
function reserve(count: number) {
  return queue.call<{ outcome: string; workers: string[] }>("reserve_workers", {
    p_pool: pool,
    p_decision_id: randomUUID(),
    p_count: count,
    p_max: 10,
    p_intent_version: 0,
    p_instance_type: "RTX 4090",
  });
}

describe("the breaker's count", () => {
  it("invariant 13: compares workers that failed before they were ready with those that became ready, within the window", async () => {
    await longClosed();
    for (const id of await queue.newWorkers(pool, 2, { status: "spawning" })) {
      await fail(id);
    }
    const ready = await queue.newWorker(pool, { status: "spawning" });
    await queue.call("worker_heartbeat", { p_worker_id: ready });
    await fail(ready, "heartbeat");
    await queue.newWorker(pool, { status: "error", failed_at: minutesAgo(6) });
    await queue.newWorker(pool, { status: "active", ready_at: minutesAgo(6) });
    await queue.newWorker(pool, { status: "terminated", gone_at: new Date() });
    await queue.newWorker(pool, { origin: "external", ready_at: new Date() });
    await queue.newWorker(await queue.newPool(), { status: "error", failed_at: new Date() });
    expect((await observe(5)).breaker).toMatchObject({ state: "closed", failed: 2, ready: 1 });
    expect((await observe(7)).breaker).toMatchObject({ failed: 3, ready: 2 });
  });

  it("takes the last boots of a day if the window has too few, because a small pool boots rarely", async () => {
    await longClosed();
    const failed = (minutes: number) => queue.newWorker(pool, { status: "error", failed_at: minutesAgo(minutes) });
    for (const minutes of [1, 11, 21, 31]) {
      await failed(minutes);
    }
    await queue.newWorker(pool, { status: "active", ready_at: minutesAgo(41) });
    await failed(51);
    const counts = async (minBoots: number) => (await observe(5, minBoots)).breaker;
    expect(await counts(0)).toMatchObject({ failed: 1, ready: 0 });
    expect(await counts(1)).toMatchObject({ failed: 1, ready: 0 });
    expect(await counts(4)).toMatchObject({ failed: 4, ready: 0 });
    expect(await counts(5)).toMatchObject({ failed: 4, ready: 1 });
    expect(await counts(9)).toMatchObject({ failed: 5, ready: 1 });
    await turn("open");
    expect(await counts(5)).toMatchObject({ failed: 0, ready: 0 });
  });

  it("takes nothing from before the breaker's last change, so that an old failure opens it once", async () => {
    await longClosed();
    await fail(await queue.newWorker(pool, { status: "spawning" }));
    expect((await observe()).breaker.failed).toBe(1);
    await turn("open");
    expect((await observe()).breaker).toMatchObject({ state: "open", failed: 0 });
  });

  it("takes a recent failure also when its worker is gone", async () => {
    const failed = await queue.newWorker(pool, { status: "spawning" });
    await fail(failed);
    await queue.call("worker_gone", { p_worker_id: failed });
    expect((await observe()).breaker.failed).toBe(1);
  });
});

describe("the breaker's state", () => {
  it("changes as decided; each change is journaled with its reason, and one alert lasts from the opening to the end", async () => {
    await queue.rows("insert into notification_endpoints (url, kinds) values ('http://127.0.0.1:9/', '{pool.alert}')");
    await turn("open", "5 of 5 failed");
    await turn("half_open", "5 minutes are over");
    await turn("open", "the probe failed");
    await turn("half_open", "again");
    await turn("closed", "the probe is ready");
    expect(await eventsOf("breaker.")).toEqual([
      { kind: "breaker.open", reason: "5 of 5 failed" },
      { kind: "breaker.half_open", reason: "5 minutes are over" },
      { kind: "breaker.open", reason: "the probe failed" },
      { kind: "breaker.half_open", reason: "again" },
      { kind: "breaker.closed", reason: "the probe is ready" },
    ]);
    const told = `select payload ->> 'alert' as alert, payload ->> 'state' as state, payload ->> 'message' as message
      from outbox where pool = $1 and kind = 'pool.alert' order by id`;
    expect(await queue.rows(told, [pool])).toEqual([
      { alert: "breaker_open", state: "opened", message: "5 of 5 failed" },
      { alert: "breaker_open", state: "closed", message: "5 of 5 failed" },
    ]);
  });

  it("ignores a change that does not follow from the present state, because an older state was observed", async () => {
    await turn("half_open");
    await turn("closed");
    await turn("nonsense");
    expect(await stateNow()).toBe("closed");
    await turn("open");
    const { since_ms: since } = (await observe()).breaker;
    await turn("open");
    await turn("closed");
    expect((await observe()).breaker).toMatchObject({ state: "open", since_ms: since });
    expect(await eventsOf("breaker.")).toHaveLength(1);
  });

  it("is not changed by a superseded watch", async () => {
    await queue.call("pool_begin_watch", { p_pool: pool, p_watch_id: "new" });
    const late = queue.call("pool_record_decision", {
      p_pool: pool,
      p_decision_id: "late",
      p_kind: "decision",
      p_reason: "late",
      p_details: {},
      p_watch_id: "old",
      p_breaker: "open",
    });
    await expect(late).rejects.toMatchObject({ code: "PT409" });
    expect(await stateNow()).toBe("closed");
  });

  it("closes when an operator resumes, and journals that only if it was not closed", async () => {
    const say = (kind: string, mode: string) =>
      queue.call("pool_set_intent", { p_pool: pool, p_kind: kind, p_mode: mode });
    await say("resume", "normal");
    expect(await eventsOf("breaker.")).toEqual([]);
    for (const state of ["open", "half_open"]) {
      await turn("open");
      await turn(state);
      await say("pause", "paused");
      expect(await stateNow()).toBe(state);
      await say("resume", "normal");
      expect(await stateNow()).toBe("closed");
      expect((await eventsOf("breaker.")).at(-1)).toEqual({
        kind: "breaker.closed",
        reason: "an operator resumed the pool",
      });
    }
  });

  it("invariant 13: survives a restart of the pool", async () => {
    await turn("open");
    const { since_ms: since } = (await observe()).breaker;
    await queue.call("pool_open", { p_pool: pool, p_config: {} });
    expect((await observe()).breaker).toMatchObject({ state: "open", since_ms: since });
  });

  it("lets no worker be booked while open, and one at a time while half-open", async () => {
    await turn("open");
    expect(await reserve(3)).toMatchObject({ outcome: "breaker_open", workers: [] });
    await turn("half_open");
    const { outcome, workers } = await reserve(3);
    expect([outcome, workers.length]).toEqual(["reserved", 1]);
    expect(await reserve(3)).toMatchObject({ outcome: "breaker_half_open", workers: [] });
    await queue.call("worker_heartbeat", { p_worker_id: workers[0] });
    expect((await reserve(3)).workers).toHaveLength(1);
    expect((await eventsOf("workers.reserved")).map(({ reason }) => reason)).toEqual([
      "0 of 3 asked (0 present, at most 10): breaker_open",
      "1 of 3 asked (0 present, at most 10): reserved",
      "0 of 3 asked (1 present, at most 10): breaker_half_open",
      "1 of 3 asked (1 present, at most 10): reserved",
    ]);
  });

  it("lets one worker probe, however many decisions reserve at once", async () => {
    await turn("open");
    await turn("half_open");
    const answers = await Promise.all(Array.from({ length: 8 }, () => reserve(2)));
    expect(answers.flatMap(({ workers }) => workers)).toHaveLength(1);
  });
});

describe("the other counts of an observation", () => {
  it("launches of the last minute, also of workers that are gone, but not of external workers", async () => {
    await reserve(2);
    await queue.newWorker(pool, { status: "terminated", gone_at: new Date() });
    await queue.newWorker(pool, { created_at: minutesAgo(2) });
    await queue.newWorker(pool, { origin: "external" });
    expect((await observe()).launched_last_minute).toBe(3);
  });

  it("invariant 4: verdicts on heartbeat or progress in five minutes, not those by the provider's list or a deadline", async () => {
    for (const evidence of ["provider", "heartbeat", null]) {
      await fail(await queue.newWorker(pool), evidence);
    }
    const stuck = await queue.newWorker(pool);
    await queue.addTask(pool);
    await queue.lease(stuck);
    expect(await fail(stuck, "progress")).toMatchObject({ outcome: "failed" });
    await queue.newWorker(pool, { status: "error", failed_on: "heartbeat", failed_at: minutesAgo(6) });
    expect((await observe()).failed_recently).toBe(2);
  });

  it("a failure counts from its own time, not from the drain that came before", async () => {
    await fail(await queue.newWorker(pool, { status: "terminating", terminating_at: minutesAgo(30) }), "heartbeat");
    expect((await observe()).failed_recently).toBe(1);
  });
});

describe("a verdict on missing progress", () => {
  const stuckWorker = async () => {
    const worker = await queue.newWorker(pool);
    await queue.addTask(pool);
    const lease = await queue.lease(worker);
    return { worker, lease };
  };
  /** The verdict on the task's progress as it was observed. */
  const verdictOn = async (lease: { task_id: string }) => {
    const { ms } = await queue.one<{ ms: string }>(
      "select to_ms(coalesce(progress_at, started_at)) as ms from task_attempts where task_id = $1",
      [lease.task_id],
    );
    return { p_progress_ms: Number(ms) };
  };
  const progress = (lease: { task_id: string; lease_token: string }) =>
    queue.call("report_progress", {
      p_task_id: lease.task_id,
      p_lease_token: lease.lease_token,
      p_progress: 0.5,
    });

  it("invariant 8: is refused when the task has made progress since", async () => {
    const { worker, lease } = await stuckWorker();
    const verdict = await verdictOn(lease);
    await progress(lease);
    await queue.rows("update workers set last_signal = 'fail', last_signal_at = now() where id = $1", [worker]);
    expect(await fail(worker, "progress", verdict)).toMatchObject({ outcome: "refused_recovered" });
    expect(await queue.one("select status, failed_on, last_signal from workers where id = $1", [worker])).toEqual({
      status: "active",
      failed_on: null,
      last_signal: "ready",
    });
  });

  it("is refused when the task has ended or the next one has begun", async () => {
    const { worker, lease } = await stuckWorker();
    const verdict = await verdictOn(lease);
    await queue.finish(lease);
    expect(await fail(worker, "progress", verdict)).toMatchObject({ outcome: "refused_recovered" });
    await queue.addTask(pool);
    await queue.lease(worker);
    expect(await fail(worker, "progress", verdict)).toMatchObject({ outcome: "refused_recovered" });
  });

  it("is carried out when there was no progress since", async () => {
    const { worker, lease } = await stuckWorker();
    await progress(lease);
    expect(await fail(worker, "progress", await verdictOn(lease))).toMatchObject({ outcome: "failed" });
    expect(await queue.one("select status, failed_on from workers where id = $1", [worker])).toEqual({
      status: "error",
      failed_on: "progress",
    });
  });

  it("is refused with any other than the three kinds of evidence", async () => {
    await expect(fail(await queue.newWorker(pool), "hearsay")).rejects.toMatchObject({ code: "23514" });
  });
});
