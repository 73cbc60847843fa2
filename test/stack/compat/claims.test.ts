import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Claim, Queue } from "../../kit/queue.ts";
import { leaseArgs } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

describe("a worker that finishes and claims in one call", () => {
  let api: QueueApi;
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    queue = api.queue;
    pool = await queue.newPool();
  });
  afterAll(() => api?.close());

  const noFile = { p_storage_path: null, p_output_location: null, p_result: { seconds: 3 } };
  const finishAndClaim = (lease: { task_id: string; lease_token: string }) =>
    queue.call<Claim & { outcome: string }>("finish_and_claim", { ...leaseArgs(lease), ...noFile });

  it("completes its task and has the next one, until there is none", async () => {
    const worker = await queue.newWorker(pool);
    const [first, second] = await queue.addTasks(pool, 2);
    const next = await finishAndClaim(await queue.lease(worker));
    expect(next).toMatchObject({
      outcome: "completed",
      worker_status: "active",
      task: { task_id: second, attempt: 1 },
    });
    expect(await queue.task(first!)).toMatchObject({ status: "Complete", result_data: { seconds: 3 } });
    expect(await finishAndClaim(next.task!)).toMatchObject({ outcome: "completed", task: null });
  });

  it("gets the same next task if it repeats the call because the answer was lost", async () => {
    const worker = await queue.newWorker(pool);
    await queue.addTasks(pool, 2);
    const lease = await queue.lease(worker);
    const next = await finishAndClaim(lease);
    expect(await finishAndClaim(lease)).toEqual({ ...next, outcome: "already_completed" });
    await finishAndClaim(next.task!);
  });

  it("gets the child that its own completion made claimable", async () => {
    const worker = await queue.newWorker(pool);
    const parent = await queue.addTask(pool);
    const child = await queue.addTask(pool, { dependant_on: parent });
    const next = await finishAndClaim(await queue.lease(worker));
    expect(next.task?.task_id).toBe(child);
    await finishAndClaim(next.task!);
  });

  it("gets no task when it is draining, and the next task when its lease was lost", async () => {
    const worker = await queue.newWorker(pool);
    await queue.addTasks(pool, 2);
    const lost = await queue.lease(worker);
    await queue.release(lost);
    const next = await finishAndClaim(lost);
    expect(next.outcome).toBe("lease_lost");
    expect(next.task?.lease_token).not.toBe(lost.lease_token);
    await queue.call("drain_worker", { p_worker_id: worker, p_reason: "surplus", p_only_idle: false });
    expect(await finishAndClaim(next.task!)).toEqual({
      outcome: "completed",
      worker_status: "terminating",
      task: null,
    });
    const never = { task_id: next.task!.task_id, lease_token: randomUUID() };
    expect(await finishAndClaim(never)).toEqual({ outcome: "lease_lost", worker_status: "unknown", task: null });
    await queue.rows("update tasks set status = 'Cancelled' where pool = $1 and status = 'Queued'", [pool]);
  });

  it("finishes only its own task", async () => {
    const [mine, other] = await queue.newWorkers(pool, 2);
    await api.giveToken(mine!, "gpw_finish");
    await queue.addTasks(pool, 2, { task_type: "without_file" });
    const foreign = await queue.lease(other!);
    const own = await queue.lease(mine!);
    const client = api.asWorker("gpw_finish");
    const call = (lease: typeof own) => client.rpc("finish_and_claim", { ...leaseArgs(lease), ...noFile });
    expect(await call(foreign)).toMatchObject({ status: 401, error: { code: "PT401" } });
    expect(await call(own)).toMatchObject({ data: { outcome: "completed", task: null } });
    await finishAndClaim(foreign);
  });

  it("never shares a task with another, nor exceeds a limit, when two hundred claim at once", async () => {
    const shared = await queue.newPool();
    const project_id = await queue.newProject({ max_running: 50 });
    await queue.addTasks(shared, 60, { project_id });
    await queue.addTasks(shared, 100);
    const workers = await queue.newWorkers(shared, 200);
    const answers = await Promise.all(
      workers.map((worker) =>
        queue.rows<{ id: string; project_id: string }>("select * from func_claim_available_task($1)", [worker]),
      ),
    );
    const claimed = answers.flat();
    expect(new Set(claimed.map(({ id }) => id)).size).toBe(claimed.length);
    expect(claimed).toHaveLength(150);
    expect(claimed.filter((task) => task.project_id === project_id)).toHaveLength(50);
  });
});
