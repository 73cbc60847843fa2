import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

interface Row {
  readonly status: string;
  readonly last_heartbeat: Date | null;
  readonly ready_at: Date | null;
  readonly boot_stage: string;
  readonly vram_total_mb: number | null;
  readonly vram_used_mb: number | null;
}

describe("a heartbeat", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const beat = (worker: string, totalMb: number | null = 24_576, usedMb: number | null = 512) =>
    queue.call<{ worker_status: string }>("worker_heartbeat", {
      p_worker_id: worker,
      p_vram_total_mb: totalMb,
      p_vram_used_mb: usedMb,
    });
  const row = (id: string) => queue.one<Row>("select * from workers where id = $1", [id]);
  const events = (worker: string) =>
    queue.rows<{ kind: string; pool: string; details: unknown }>(
      "select kind, pool, details from pool_events where worker_id = $1",
      [worker],
    );

  it("invariant 9: makes a spawning worker active, once, and journals it with its memory", async () => {
    const worker = await queue.newWorker(pool, { status: "spawning" });
    expect(await beat(worker)).toEqual({ worker_status: "active" });
    const first = await row(worker);
    expect(first).toMatchObject({
      status: "active",
      boot_stage: "ready",
      last_heartbeat: expect.any(Date),
      ready_at: expect.any(Date),
      vram_total_mb: 24_576,
      vram_used_mb: 512,
    });
    expect(await beat(worker, 24_576, 9000)).toEqual({ worker_status: "active" });
    const second = await row(worker);
    expect(second).toMatchObject({ ready_at: first.ready_at, vram_used_mb: 9000 });
    expect(second.last_heartbeat!.getTime()).toBeGreaterThan(first.last_heartbeat!.getTime());
    expect(await events(worker)).toEqual([{ kind: "worker.ready", pool, details: { vram_total_mb: 24_576 } }]);
  });

  it("invariant 9: journals one start also when two first heartbeats come at once", async () => {
    const worker = await queue.newWorker(pool, { status: "spawning" });
    const [one, other] = [await queue.session(), await queue.session()];
    await one.rows("begin");
    await one.call("worker_heartbeat", { p_worker_id: worker });
    const second = other.call("worker_heartbeat", { p_worker_id: worker });
    await queue.untilBlocked(other);
    await one.rows("commit");
    expect(await second).toEqual({ worker_status: "active" });
    expect(await events(worker)).toHaveLength(1);
  });

  it("is accepted from a drained worker, whose status does not change", async () => {
    const worker = await queue.newWorker(pool, { status: "terminating" });
    expect(await beat(worker)).toEqual({ worker_status: "terminating" });
    expect(await row(worker)).toMatchObject({ status: "terminating", last_heartbeat: expect.any(Date) });
    expect(await events(worker)).toEqual([]);
  });

  it.each([
    ["in error", { status: "error" }],
    ["terminated", { status: "terminated", gone_at: new Date() }],
    ["gone while it was spawning", { status: "spawning", gone_at: new Date() }],
  ])("invariant 9: never revives a worker that is %s", async (_, columns) => {
    const worker = await queue.newWorker(pool, columns);
    const before = await row(worker);
    expect(await beat(worker)).toEqual({ worker_status: columns.status });
    expect(await row(worker)).toEqual(before);
    expect((await queue.rows("select 1 from pool_events where worker_id = $1", [worker])).length).toBe(0);
  });

  it("of an unknown worker is answered and not recorded", async () => {
    expect(await beat(`${pool}-unknown`)).toEqual({ worker_status: "unknown" });
    expect(await queue.rows("select 1 from workers where id = $1", [`${pool}-unknown`])).toEqual([]);
  });

  it.each([
    ["p_vram_total_mb", -1, 0],
    ["p_vram_used_mb", 24_576, -5],
  ])("with a negative %s is refused", async (field, totalMb, usedMb) => {
    const worker = await queue.newWorker(pool);
    await expect(beat(worker, totalMb, usedMb)).rejects.toMatchObject({
      code: "PT400",
      message: `${field}: megabytes are expected, at least 0`,
    });
    expect(await row(worker)).toMatchObject({ last_heartbeat: null, vram_used_mb: null });
  });

  it("without memory figures still counts", async () => {
    const worker = await queue.newWorker(pool);
    await beat(worker, null, null);
    expect(await row(worker)).toMatchObject({ vram_total_mb: null, last_heartbeat: expect.any(Date) });
  });

  it("invariant 8: is no progress of the task, and progress is no heartbeat", async () => {
    const task = await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    const lease = await queue.lease(worker);
    await beat(worker);
    const progress = "select progress_at from task_attempts where task_id = $1";
    expect(await queue.rows(progress, [task])).toEqual([{ progress_at: null }]);
    const { last_heartbeat: before } = await row(worker);
    await queue.call("report_progress", { ...leaseArgs(lease), p_progress: 0.1, p_message: null });
    expect(await queue.rows(progress, [task])).toEqual([{ progress_at: expect.any(Date) }]);
    expect((await row(worker)).last_heartbeat).toEqual(before);
  });

  it("invariant 8: does not change the idle time, which starts when a task is released, however it ended", async () => {
    await queue.addTasks(pool, 3);
    const worker = await queue.newWorker(pool, { status: "spawning" });
    await beat(worker);
    const releasedMs = async () => {
      const [found] = await queue.rows<{ released: number | null }>(
        `select (seen ->> 'released_ms')::float8 as released
         from jsonb_array_elements(pool_observe($1, null, true, 5) -> 'fleet') as seen where seen ->> 'id' = $2`,
        [pool, worker],
      );
      return found!.released;
    };
    const stamps: number[] = [];
    for (const end of ["finish", "fail", "release"] as const) {
      const lease = await queue.lease(worker);
      await beat(worker);
      await (end === "fail" ? queue.fail(lease, "no luck", true) : queue[end](lease));
      const released = await releasedMs();
      await beat(worker);
      expect(await releasedMs()).toBe(released);
      stamps.push(released!);
    }
    expect(stamps).toEqual(stamps.toSorted((a, b) => a - b));
    expect(new Set(stamps).size).toBe(3);
  });
});
