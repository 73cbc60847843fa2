import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Claim, openQueue, type Queue } from "../../kit/queue.ts";

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

function observe(known: string | null) {
  return queue.call<{ fleet_hash: string; fleet: { id: string; status: string }[] | null }>("pool_observe", {
    p_pool: pool,
    p_known_fleet: known,
    p_full: false,
    p_poll_sec: 30,
  });
}

function statuses(fleet: readonly { id: string; status: string }[] | null) {
  return Object.fromEntries((fleet ?? []).map(({ id, status }) => [id, status]));
}

describe("the fleet in an observation", () => {
  it("is sent again for a change that began before the last observation and was committed after it", async () => {
    const [early, late] = await queue.newWorkers(pool, 2);
    const drain = (worker: string) => ({ p_worker_id: worker, p_reason: "test", p_only_idle: false });
    const slow = await queue.session();
    await slow.rows("begin");
    await slow.call("drain_worker", drain(early!));
    await queue.call("drain_worker", drain(late!));
    const between = await observe(null);
    expect(statuses(between.fleet)).toEqual({ [early!]: "active", [late!]: "terminating" });
    expect(await observe(between.fleet_hash)).toMatchObject({ fleet: null });
    await slow.rows("commit");
    const after = await observe(between.fleet_hash);
    expect(statuses(after.fleet)).toEqual({ [early!]: "terminating", [late!]: "terminating" });
    expect(after.fleet_hash).not.toBe(between.fleet_hash);
  });

  it("makes no worker wait for another: claims and completions of two run at the same time", async () => {
    await queue.addTasks(pool, 2);
    const [one, other] = await queue.newWorkers(pool, 2);
    const [open, free] = [await queue.session(), await queue.session()];
    await open.rows("begin");
    const held = await open.call<Claim>("claim_task", { p_worker_id: one });
    await free.rows("set lock_timeout = '10s'");
    const { task } = await free.call<Claim>("claim_task", { p_worker_id: other });
    expect(task?.task_id).not.toBe(held.task?.task_id);
    const end = { p_storage_path: null, p_output_location: null, p_result: {} };
    const lease = { p_task_id: task!.task_id, p_lease_token: task!.lease_token };
    expect(await free.call("finish_task", { ...lease, ...end })).toEqual({ outcome: "completed" });
    await open.rows("commit");
  });
});
