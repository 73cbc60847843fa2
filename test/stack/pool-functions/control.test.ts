import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

function observe<T>() {
  return queue.call<T>("pool_observe", { p_pool: pool, p_known_fleet: null, p_full: false, p_poll_sec: 30 });
}
function eventsOf(prefix: string) {
  return queue.rows(
    "select kind, reason, worker_id from pool_events where pool = $1 and starts_with(kind, $2) order by id",
    [pool, prefix],
  );
}

describe("pool_begin_watch", () => {
  const begin = (watch: string, environment: unknown, startedAt: string | null) =>
    queue.call("pool_begin_watch", {
      p_pool: pool,
      p_watch_id: watch,
      p_environment: environment,
      p_started_at: startedAt,
    });
  const inForce = async () => {
    const { watch_id: watch, environment } = await observe<{ watch_id: string; environment: unknown }>();
    return [watch, environment];
  };
  const [morning, noon] = ["2026-01-05T06:00:00Z", "2026-01-05T12:00:00Z"];

  it("puts the newest process's settings in force, whichever of two processes begins a watch", async () => {
    await begin("a", { maxActiveGpus: 4 }, morning);
    expect(await inForce()).toEqual(["a", { maxActiveGpus: 4 }]);
    await begin("b", { maxActiveGpus: 6 }, noon);
    expect(await inForce()).toEqual(["b", { maxActiveGpus: 6 }]);
    await begin("c", { maxActiveGpus: 4 }, morning);
    expect(await inForce()).toEqual(["c", { maxActiveGpus: 6 }]);
    await begin("d", { maxActiveGpus: 7 }, noon);
    expect(await inForce()).toEqual(["d", { maxActiveGpus: 7 }]);
  });

  it("accepts a process of an older version that sends no settings", async () => {
    await begin("a", { maxActiveGpus: 4 }, morning);
    await queue.call("pool_begin_watch", { p_pool: pool, p_watch_id: "old" });
    expect(await inForce()).toEqual(["old", { maxActiveGpus: 4 }]);
  });

  it("does not let a process with a fast clock override those that start later", async () => {
    await begin("ahead", { maxActiveGpus: 1 }, "2999-01-01T00:00:00Z");
    const { now } = await queue.one<{ now: Date }>("select clock_timestamp() + interval '1 second' as now");
    await begin("later", { maxActiveGpus: 9 }, now.toISOString());
    expect(await inForce()).toEqual(["later", { maxActiveGpus: 9 }]);
  });
});

describe("pool_reconfigure", () => {
  const reconfigure = (patch: unknown, name = pool) => queue.call("pool_reconfigure", { p_pool: name, p_patch: patch });

  it("merges settings into the pool's own, removes those that are null, and journals the patch", async () => {
    await reconfigure({ minActiveGpus: 1, maxActiveGpus: 4, schedules: [{ name: "night" }] });
    expect(await reconfigure({ minActiveGpus: null, maxActiveGpus: 6, pollSec: null })).toEqual({
      maxActiveGpus: 6,
      schedules: [{ name: "night" }],
    });
    expect(await observe()).toMatchObject({
      config: { maxActiveGpus: 6, schedules: [{ name: "night" }] },
      intent: { version: 2 },
    });
    expect((await eventsOf("message."))[1]).toMatchObject({
      kind: "message.reconfigure",
      reason: "set maxActiveGpus=6, minActiveGpus back to the environment's, pollSec back to the environment's",
    });
    const details = "select details from pool_events where pool = $1 order by id desc limit 1";
    expect(await queue.one(details, [pool])).toMatchObject({
      details: { patch: { minActiveGpus: null, maxActiveGpus: 6, pollSec: null } },
    });
  });

  it("refuses a MIN above the MAX that the pool has already, and a patch that is no object", async () => {
    await reconfigure({ maxActiveGpus: 4 });
    await expect(reconfigure({ minActiveGpus: 5 })).rejects.toMatchObject({
      code: "PT400",
      message: "minActiveGpus=5 is above maxActiveGpus=4",
    });
    await expect(reconfigure("[]")).rejects.toMatchObject({ code: "PT400" });
    await expect(reconfigure({}, "nowhere")).rejects.toMatchObject({ code: "PT404" });
    expect(await observe()).toMatchObject({ config: { maxActiveGpus: 4 }, intent: { version: 1 } });
  });
});

describe("order_worker", () => {
  const order = (worker: string, kind: string) =>
    queue.call<{ outcome: string; status: string | null }>("order_worker", {
      p_pool: pool,
      p_worker_id: worker,
      p_kind: kind,
      p_reason: "by hand",
    });
  const statusOf = async (id: string) =>
    (await queue.one<{ status: string }>("select status from workers where id = $1", [id])).status;

  it("answers ordered for a living worker, and leaves its row to its workflow", async () => {
    for (const [status, kind] of [
      ["spawning", "drain"],
      ["active", "drain"],
      ["active", "terminate"],
      ["terminating", "terminate"],
    ] as const) {
      const worker = await queue.newWorker(pool, { status });
      expect(await order(worker, kind)).toEqual({ outcome: "ordered", status });
      expect(await statusOf(worker)).toBe(status);
    }
  });

  it("answers already_leaving while a drain is under way", async () => {
    const worker = await queue.newWorker(pool, { status: "terminating" });
    expect(await order(worker, "drain")).toEqual({ outcome: "already_leaving", status: "terminating" });
  });

  it("gives a deadline to a worker that drains without one", async () => {
    const worker = await queue.newWorker(pool, { status: "terminating", drains_without_deadline: true });
    expect(await order(worker, "drain")).toEqual({ outcome: "ordered", status: "terminating" });
  });

  it("answers not_living for one that has ended", async () => {
    for (const status of ["error", "terminated"]) {
      const worker = await queue.newWorker(pool, { status, gone_at: status === "error" ? null : new Date() });
      expect(await order(worker, "terminate")).toEqual({ outcome: "not_living", status });
    }
  });

  it("answers unknown for a worker of another pool", async () => {
    const others = await queue.newWorker(await queue.newPool());
    expect(await order(others, "terminate")).toEqual({ outcome: "unknown", status: null });
    expect(await order("nobody", "drain")).toEqual({ outcome: "unknown", status: null });
    expect(await statusOf(others)).toBe("active");
  });

  it("drains an external worker in its row for either order, and does not take its task", async () => {
    for (const kind of ["drain", "terminate"]) {
      const worker = await queue.newWorker(pool, { origin: "external" });
      const task = await queue.addTask(pool);
      await queue.lease(worker);
      expect(await order(worker, kind)).toEqual({ outcome: "external", status: "terminating" });
      expect(await statusOf(worker)).toBe("terminating");
      expect((await queue.task(task)).status).toBe("In Progress");
    }
  });

  it("journals each order with its outcome, and refuses an unknown order", async () => {
    const worker = await queue.newWorker(pool);
    await order(worker, "drain");
    await order("nobody", "terminate");
    await expect(order(worker, "reboot")).rejects.toMatchObject({ code: "PT400" });
    expect(await eventsOf("message.")).toEqual([
      { kind: "message.drainWorker", reason: "ordered: by hand", worker_id: worker },
      { kind: "message.terminateWorker", reason: "unknown: by hand", worker_id: "nobody" },
    ]);
  });
});

describe("the figures of a heartbeat", () => {
  it("have a time, and a heartbeat without figures keeps the old ones and their time", async () => {
    const worker = await queue.newWorker(pool);
    const beat = (figures: Readonly<Record<string, unknown>> = {}) =>
      queue.call("worker_heartbeat", { p_worker_id: worker, ...figures });
    const vramMs = async () => (await observe<{ fleet: { vram_ms: number | null }[] }>()).fleet[0]!.vram_ms;
    await beat();
    expect(await vramMs()).toBeNull();
    await beat({ p_vram_total_mb: 24_576, p_vram_used_mb: 9_000 });
    expect(await vramMs()).toEqual(expect.any(Number));
    await queue.rows("update workers set vram_at = now() - interval '1 minute' where id = $1", [worker]);
    const dated = await vramMs();
    await beat();
    expect(await vramMs()).toBe(dated);
    expect(await queue.one("select vram_total_mb, vram_used_mb from workers where id = $1", [worker])).toEqual({
      vram_total_mb: 24_576,
      vram_used_mb: 9_000,
    });
    await beat({ p_vram_used_mb: 9_500 });
    expect(await vramMs()).toBeGreaterThan(dated!);
  });
});
