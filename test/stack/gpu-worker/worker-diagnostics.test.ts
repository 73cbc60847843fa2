import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

interface Diagnostics {
  readonly reason: string;
  readonly details: {
    readonly worker: Readonly<Record<string, unknown>>;
    readonly task: Readonly<Record<string, unknown>> | null;
    readonly logs: readonly { readonly message: string; readonly level: string }[];
  };
}

describe("the diagnostics of a worker", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const diagnostics = (worker: string) =>
    queue.rows<Diagnostics>("select reason, details from worker_diagnostics where worker_id = $1", [worker]);
  const failed = (worker: string, more: object = {}) =>
    queue.call<{ outcome: string }>("fail_worker", {
      p_worker_id: worker,
      p_lease_cause: "worker_died",
      p_reason: "no heartbeat for 301 s",
      ...more,
    });

  it("are written when it becomes error: its row before that, its task, its last log lines", async () => {
    const worker = await queue.newWorker(pool, {
      pod_id: "pod-1",
      status_reason: "warned before",
      vram_total_mb: 24_000,
      vram_used_mb: 23_990,
      boot_stage: "ready",
      token_hash: randomUUID(),
    });
    const [task] = await queue.addTasks(pool, 1);
    const lease = await queue.lease(worker);
    await queue.call("report_progress", {
      p_task_id: task,
      p_lease_token: lease.lease_token,
      p_progress: 0.5,
      p_message: "frame 40 of 81",
    });
    await queue.rows("update workers set last_heartbeat = now() - interval '301 seconds' where id = $1", [worker]);
    const lines = Array.from({ length: 25 }, (_, index) => ({ level: "ERROR", message: `line ${index}` }));
    await queue.call("store_logs", { p_logs: lines, p_source_type: "worker", p_worker_id: worker });

    expect(await failed(worker)).toMatchObject({ outcome: "failed", leases_closed: 1 });
    const [found, ...more] = await diagnostics(worker);
    expect(more).toEqual([]);
    expect(found).toMatchObject({
      reason: "no heartbeat for 301 s",
      details: {
        worker: {
          status: "active",
          status_reason: "warned before",
          pod_id: "pod-1",
          boot_stage: "ready",
          vram_used_mb: 23_990,
        },
        task: { task_id: task, attempt: 1, progress: 0.5, progress_message: "frame 40 of 81" },
      },
    });
    expect(found?.details.worker["heartbeat_age_sec"]).toBeGreaterThanOrEqual(301);
    expect(found?.details.logs.map(({ message }) => message)).toEqual(lines.slice(-20).map(({ message }) => message));
    expect(JSON.stringify(found)).not.toMatch(/token/);

    // The diagnostics stay when the worker's logs, lease and row are gone.
    await queue.call("func_cleanup_old_logs", { retention_hours: 1 });
    expect(await failed(worker)).toMatchObject({ outcome: "not_living" });
    await queue.call("worker_gone", { p_worker_id: worker });
    expect(await diagnostics(worker)).toHaveLength(1);
  });

  it("hold no task, no log lines and no heartbeat for a worker that never became active", async () => {
    const worker = await queue.newWorker(pool, { status: "spawning", last_heartbeat: null, boot_stage: "created" });
    expect(await failed(worker, { p_require_spawning: true })).toMatchObject({ outcome: "failed" });
    expect(await diagnostics(worker)).toMatchObject([
      {
        details: {
          worker: { status: "spawning", boot_stage: "created", heartbeat_age_sec: null },
          task: null,
          logs: [],
        },
      },
    ]);
  });

  it("are not written when a failure is refused, nor when a worker ends by a drain", async () => {
    const worker = await queue.newWorker(pool, { last_heartbeat: new Date() });
    expect(await failed(worker, { p_heartbeat_ms: 0 })).toMatchObject({ outcome: "refused_recovered" });
    await queue.call("drain_worker", { p_worker_id: worker, p_reason: "idle", p_only_idle: false });
    await queue.call("worker_gone", { p_worker_id: worker });
    expect(await diagnostics(worker)).toEqual([]);
  });
});
