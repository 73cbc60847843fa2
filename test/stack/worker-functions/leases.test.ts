import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

async function started(columns: Readonly<Record<string, unknown>> = {}) {
  const id = await queue.addTask(pool, columns);
  const worker = await queue.newWorker(pool);
  return { id, worker, lease: await queue.lease(worker) };
}
function progress(lease: Pick<ClaimedTask, "task_id" | "lease_token">, value: number, message: string | null = null) {
  return queue.call<{ held: boolean }>("report_progress", {
    ...leaseArgs(lease),
    p_progress: value,
    p_message: message,
  });
}
function snapshot(id: string) {
  return queue.rows(
    "select t.*, a.* from tasks t left join task_attempts a on a.task_id = t.id where t.id = $1 order by a.attempt",
    [id],
  );
}

describe("invariant 5: attempts are leases", () => {
  it("progress is written to the open lease, its message cut to five hundred characters", async () => {
    const { id, lease } = await started();
    expect(await progress(lease, 0.5, "x".repeat(600))).toEqual({ held: true });
    const [row] = await queue.rows<Record<string, unknown>>("select * from task_attempts where task_id = $1", [id]);
    expect(row).toMatchObject({ progress: 0.5, progress_message: "x".repeat(500), progress_at: expect.any(Date) });
  });

  it.each([[-0.01], [1.01], [Number.NaN], [Number.POSITIVE_INFINITY]])("progress of %s is refused", async (value) => {
    const { id, lease } = await started();
    const before = await snapshot(id);
    await expect(progress(lease, value)).rejects.toMatchObject({
      code: "PT400",
      message: expect.stringMatching(/^p_progress: a fraction from 0 to 1 is expected, not /),
    });
    expect(await snapshot(id)).toEqual(before);
    for (const bound of [0, 1]) {
      expect(await progress(lease, bound)).toEqual({ held: true });
    }
  });

  it("an unknown token or the token of another task changes no task", async () => {
    const { id, lease } = await started();
    const other = await started();
    const before = await snapshot(id);
    for (const token of [randomUUID(), other.lease.lease_token]) {
      const wrong = { ...lease, lease_token: token };
      expect(await progress(wrong, 0.9)).toEqual({ held: false });
      expect(await queue.finish(wrong)).toBe("lease_lost");
      expect(await queue.fail(wrong, "no")).toBe("lease_lost");
      expect(await queue.release(wrong)).toBe("lease_lost");
      expect(await queue.call("authorize_upload", leaseArgs(wrong))).toMatchObject({ allowed: false });
    }
    expect(await snapshot(id)).toEqual(before);
  });

  it("the token of an ended attempt changes no task, also after the next attempt has begun", async () => {
    const { id, worker, lease: old } = await started();
    await queue.release(old);
    const lease = await queue.lease(worker);
    expect(lease).toMatchObject({ task_id: id, attempt: 2 });
    expect(lease.lease_token).not.toBe(old.lease_token);
    const before = await snapshot(id);
    expect(await progress(old, 0.9)).toEqual({ held: false });
    expect(await queue.finish(old)).toBe("lease_lost");
    expect(await queue.fail(old, "no")).toBe("lease_lost");
    expect(await queue.fail(old, "no", true)).toBe("lease_lost");
    expect(await queue.release(old)).toBe("lease_lost");
    expect(await queue.call("authorize_upload", leaseArgs(old))).toEqual({
      allowed: false,
      reason: "lease ended: released",
      attempt: 1,
    });
    expect(await snapshot(id)).toEqual(before);
  });

  it("a write by hand that ends a task or gives it back also ends its lease, whatever else it changes", async () => {
    const ends = { Queued: "released", Cancelled: "cancelled", Failed: "task_error", Complete: "completed" };
    for (const [status, cause] of Object.entries(ends)) {
      const { id, lease } = await started();
      const columns = "status = $2, progress_at = now(), reports_progress = false";
      await queue.rows(`update tasks set ${columns} where id = $1`, [id, status]);
      const attempts = "select cause from task_attempts where task_id = $1";
      expect(await queue.rows(attempts, [id])).toEqual([{ cause }]);
      expect(await progress(lease, 0.9)).toEqual({ held: false });
      await queue.rows("delete from tasks where id = $1", [id]);
    }
  });

  it("a task keeps its id, by which its lease is known, and attempts are written by our functions alone", async () => {
    const { id, lease } = await started();
    const session = await queue.session();
    await session.rows("set role service_role");
    const rename = session.rows("update tasks set id = gen_random_uuid() where id = $1", [id]);
    await expect(rename).rejects.toMatchObject({ code: "PT409", message: `id: task ${id} keeps the one that it has` });
    const forged = `insert into ended_attempts (task_id, attempt, worker_id, lease_token, started_at, cause)
      select id, leases, worker_id, lease_token, now(), 'released' from tasks where id = $1`;
    await expect(session.rows(forged, [id])).rejects.toMatchObject({ code: "42501" });
    expect(await queue.release(lease)).toBe("released");
    await expect(session.rows("update ended_attempts set attempt = 2")).rejects.toMatchObject({ code: "42501" });
    await session.end();
  });

  it("an upload is allowed with the open lease, and not after its end", async () => {
    const { lease } = await started();
    expect(await queue.call("authorize_upload", leaseArgs(lease))).toMatchObject({ allowed: true, attempt: 1 });
    await queue.finish(lease);
    expect(await queue.call("authorize_upload", leaseArgs(lease))).toMatchObject({ allowed: false });
  });

  it("a task has at most one open lease, and so has a worker", async () => {
    const { id, worker, lease } = await started();
    expect(await queue.rows("select lease_token from task_attempts where task_id = $1", [id])).toEqual([
      { lease_token: lease.lease_token },
    ]);
    const second =
      "update tasks set status = 'In Progress', worker_id = $2, lease_token = gen_random_uuid() where id = $1";
    await expect(queue.rows(second, [await queue.addTask(pool), worker])).rejects.toMatchObject({ code: "23505" });
  });

  it.each(["Complete", "Failed", "Cancelled"])(
    "a task that is %s stays so, also by a direct update",
    async (status) => {
      const { id, lease } = await started();
      await queue.rows("update tasks set status = $2 where id = $1", [id, status]);
      for (const next of ["Queued", "In Progress", "Complete", "Failed", "Cancelled"].filter((s) => s !== status)) {
        await expect(queue.rows("update tasks set status = $2 where id = $1", [id, next])).rejects.toMatchObject({
          code: "PT409",
          message: `task ${id} is ${status} and stays so: it cannot become ${next}`,
        });
      }
      await queue.finish(lease);
      await queue.fail(lease, "too late", true);
      await queue.release(lease);
      expect(await queue.task(id)).toMatchObject({ status, error_message: null, result_data: null });
    },
  );

  it.each([
    ["Cancelled", "cancelled"],
    ["Failed", "task_error"],
    ["Queued", "released"],
  ])(
    "a running task that a direct update makes %s loses its lease, and its worker is notified",
    async (status, cause) => {
      const { id, lease } = await started();
      await queue.rows("update tasks set status = $2 where id = $1", [id, status]);
      expect(await queue.rows("select cause from task_attempts where task_id = $1", [id])).toEqual([{ cause }]);
      expect(await progress(lease, 0.9)).toEqual({ held: false });
      expect(await queue.finish(lease)).toBe("lease_lost");
      expect(await queue.task(id)).toMatchObject({ status, generation_created: false });
    },
  );
});

describe("invariant 5: only the task's own faults count as attempts", () => {
  const close = (worker: string, cause: string) =>
    queue.call<number>("close_worker_leases", { p_worker_id: worker, p_cause: cause, p_reason: `because ${cause}` });
  const lastCause = async (id: string) =>
    (
      await queue.rows<{ cause: string }>("select cause from task_attempts where task_id = $1 order by attempt", [id])
    ).at(-1)?.cause;

  it.each(["worker_died", "stuck"])("%s counts", async (cause) => {
    const { id, worker } = await started();
    expect(await close(worker, cause)).toBe(1);
    expect(await queue.task(id)).toMatchObject({
      status: "Queued",
      attempts: 1,
      worker_id: null,
      error_message: `because ${cause}`,
    });
    expect(await lastCause(id)).toBe(cause);
  });

  it("an error of the task counts, and a second one too", async () => {
    const { id, worker, lease } = await started();
    expect(await queue.fail(lease, "out of memory")).toBe("requeued");
    expect(await queue.task(id)).toMatchObject({ status: "Queued", attempts: 1, error_message: "out of memory" });
    expect(await queue.fail(await queue.lease(worker), "again")).toBe("requeued");
    expect(await queue.task(id)).toMatchObject({ attempts: 2 });
    expect(await lastCause(id)).toBe("task_error");
  });

  it.each(["released", "drained", "host_lost"])("%s does not count, however often it happens", async (cause) => {
    const { id, worker } = await started();
    for (let i = 0; i < 5; i += 1) {
      await close(worker, cause);
      expect(await queue.task(id)).toMatchObject({ status: "Queued", attempts: 0 });
      expect(await lastCause(id)).toBe(cause);
      await queue.lease(worker);
    }
    const attempts = await queue.rows<{ attempt: number }>(
      "select attempt from task_attempts where task_id = $1 order by attempt",
      [id],
    );
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("the third counted failure fails the task with its message, with or without uncounted ones in between", async () => {
    const { id, worker, lease } = await started();
    await queue.fail(lease, "first");
    await queue.release(await queue.lease(worker));
    await queue.lease(worker);
    await close(worker, "stuck");
    await queue.lease(worker);
    await close(worker, "drained");
    expect(await queue.fail(await queue.lease(worker), "the last straw")).toBe("failed");
    expect(await queue.task(id)).toMatchObject({ status: "Failed", attempts: 3, error_message: "the last straw" });
    expect((await queue.claim(worker)).task).toBeNull();
  });

  it("a permanent error fails the task at once", async () => {
    const { id, lease } = await started();
    expect(await queue.fail(lease, "frames must be at least 1", true)).toBe("failed");
    expect(await queue.task(id)).toMatchObject({
      status: "Failed",
      attempts: 1,
      error_message: "frames must be at least 1",
    });
    expect(
      (await queue.one<{ at: Date | null }>("select generation_processed_at as at from tasks where id = $1", [id])).at,
    ).not.toBeNull();
  });

  it("a task that two different workers died with is poison", async () => {
    const { id, worker } = await started();
    await close(worker, "worker_died");
    const second = await queue.newWorker(pool);
    await queue.lease(second);
    await close(second, "worker_died");
    expect(await queue.task(id)).toMatchObject({
      status: "Failed",
      attempts: 2,
      error_message: "poison: 2 different workers died with this task; last: because worker_died",
    });
  });

  it("a task that one worker died with twice is not poison yet", async () => {
    const { id, worker } = await started();
    await close(worker, "worker_died");
    await queue.lease(worker);
    await close(worker, "worker_died");
    expect(await queue.task(id)).toMatchObject({ status: "Queued", attempts: 2 });
  });

  it("an error text is cut to four thousand characters", async () => {
    const { id, lease } = await started();
    await queue.fail(lease, "y".repeat(5000), true);
    expect((await queue.task(id)).error_message).toBe("y".repeat(4000));
  });
});
