import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectDatabase, type Database } from "../../../src/supabase/client.ts";
import { type FleetStore, fleetStore } from "../../../src/supabase/fleet/fleet-store.ts";
import { type TaskStore, taskStore } from "../../../src/supabase/task-store.ts";
import { taskTypeStore } from "../../../src/supabase/task-types/task-type-store.ts";
import { readView } from "../../../src/supabase/views.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

describe("the operations of the database, over HTTP", () => {
  let api: QueueApi;
  let database: Database;
  let db: TaskStore & FleetStore;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    db = { ...taskStore(database), ...fleetStore(database) };
  });
  beforeEach(async () => {
    pool = await api.queue.newPool();
  });
  afterAll(() => api?.close());

  it("claim a task, complete it with its lease, and name the outcome of a second completion", async () => {
    const worker = await api.queue.newWorker(pool);
    expect(await db.claimTask(worker)).toBeNull();
    const task = await api.queue.addTask(pool, { params: { prompt: "a cat" } });
    const claim = await db.claimTask(worker);
    expect(claim).toMatchObject({ taskId: task, taskType: "generate_video", params: { prompt: "a cat" }, attempt: 1 });
    expect(await db.claimTask(worker)).toEqual(claim);
    expect(await db.markTaskComplete(task, { frames: 8 }, randomUUID())).toMatchObject({ outcome: "lease_lost" });
    expect(await db.markTaskComplete(task, { frames: 8 }, claim!.leaseToken)).toEqual({
      outcome: "completed",
      status: "Complete",
    });
    expect(await db.markTaskComplete(task, { frames: 9 }, claim!.leaseToken)).toMatchObject({
      outcome: "already_completed",
    });
    expect(await api.queue.task(task)).toMatchObject({ status: "Complete", result_data: { frames: 8 } });
  });

  it("read the names of the task types, an alias with the type that it stands for", async () => {
    const names = await taskTypeStore(database).names();
    expect([names.get("video_generation"), names.get("vace"), names.get("tea")]).toEqual([
      "generate_video",
      null,
      undefined,
    ]);
  });

  it("return a failed attempt to the queue, and fail the task with the third", async () => {
    const worker = await api.queue.newWorker(pool);
    const task = await api.queue.addTask(pool);
    for (const outcome of ["requeued", "requeued", "failed"]) {
      const claim = await db.claimTask(worker);
      expect(await db.markTaskFailed(task, "out of memory", claim!.leaseToken)).toMatchObject({ outcome });
    }
    expect(await api.queue.task(task)).toMatchObject({ status: "Failed", error_message: "out of memory", attempts: 3 });
  });

  it("read tasks by filters, also past a thousand rows, and count claimable ones", async () => {
    const before = await db.countAvailableTasks("gpu");
    await api.queue.addTasks(pool, 1_005);
    await api.queue.addTask(pool, { status: "Complete" });
    const queued = await db.getTasks({ pool, status: ["Queued"] });
    expect(new Set(queued.map(({ id }) => id)).size).toBe(1_005);
    expect(await db.getTasks({ pool })).toHaveLength(1_006);
    expect(await db.getTasks({ pool, limit: 3 })).toHaveLength(3);
    expect(await db.getTasks({ projectId: randomUUID() })).toEqual([]);
    await api.queue.newWorker(pool);
    const [worker] = await db.getWorkers({ pool, status: ["active"] });
    await db.claimTask(worker!.id);
    expect(await db.getTasks({ workerId: worker!.id })).toMatchObject([{ status: "In Progress" }]);
    const after = await db.countAvailableTasks("gpu");
    expect([after.queued - before.queued, after.active - before.active]).toEqual([1_004, 1]);
  });

  it("register an external worker, and refuse to change a status, because only the worker workflow does that", async () => {
    const id = `box-${randomUUID().slice(0, 8)}`;
    expect(await db.createWorkerRecord(id, "RTX 4090", pool)).toMatchObject({
      id,
      pool,
      status: "spawning",
      origin: "external",
    });
    await expect(db.createWorkerRecord(id, "RTX 4090", pool)).rejects.toMatchObject({ status: 409, code: "23505" });
    await expect(db.createWorkerRecord(`${id}x`, "RTX 4090", "nowhere")).rejects.toThrow(/nowhere/);
    expect(await db.updateWorkerStatus(id, "spawning")).toMatchObject({ outcome: "unchanged" });
    expect(await db.updateWorkerStatus(id, "terminated")).toEqual({
      outcome: "refused",
      status: "spawning",
      reason: `worker ${id} stays spawning: only its lifecycle changes a status; terminated is kept as evidence`,
    });
    expect(await db.markWorkerError(id, "CUDA error")).toMatchObject({ outcome: "refused", status: "spawning" });
    const [row] = await db.getWorkers({ pool });
    expect(row?.metadata).toMatchObject({ reported_status: "error", error_reason: "CUDA error" });
    await expect(db.updateWorkerStatus("nobody", "active")).rejects.toThrow(
      /updateWorkerStatus.*worker nobody does not exist/,
    );
  });

  it("return to the queue the tasks of workers that are not living, and of no others", async () => {
    const [dead, living] = await api.queue.newWorkers(pool, 2);
    await api.queue.addTasks(pool, 2);
    await db.claimTask(dead!);
    await db.claimTask(living!);
    await api.queue.rows("update workers set last_heartbeat = now() where id = $1", [living]);
    await api.queue.rows("update workers set status = 'error' where id = $1", [dead]);
    expect(await db.resetOrphanedTasks([dead!, living!, "nobody"])).toBe(1);
    expect((await db.getTasks({ pool, status: ["In Progress"] })).map((task) => task.worker_id)).toEqual([living]);
  });

  it.each(["orchestrator_status", "worker_performance", "task_queue_analysis", "worker_costs"] as const)(
    "read the view %s",
    async (view) => {
      await api.queue.newWorker(pool);
      await api.queue.addTask(pool);
      const rows = await readView(database, view);
      expect(rows.filter((row) => row.pool === pool)).toHaveLength(1);
    },
  );
});
