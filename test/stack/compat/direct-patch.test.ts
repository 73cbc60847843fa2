import { randomUUID } from "node:crypto";
import type { SupabaseClient } from "@supabase/supabase-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClaimedTask, Queue } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

describe("a write to the tables with the service role's key", () => {
  let api: QueueApi;
  let queue: Queue;
  let service: SupabaseClient;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    queue = api.queue;
    service = api.client(api.keys.serviceRoleKey);
    pool = await queue.newPool();
  });
  afterAll(() => api?.close());

  const patch = async (table: string, id: string, values: object) => {
    const { error } = await service.from(table).update(values).eq("id", id);
    return error && `${error.code}: ${error.message}`;
  };
  const running = async (
    columns: Readonly<Record<string, unknown>> = {},
  ): Promise<ClaimedTask & { worker: string }> => {
    const worker = await queue.newWorker(pool);
    const id = await queue.addTask(pool, columns);
    const lease = await queue.lease(worker);
    expect(lease.task_id).toBe(id);
    return { ...lease, worker };
  };
  const attempt = (task: string) =>
    queue.one("select worker_id, cause, error from task_attempts where task_id = $1 order by attempt desc limit 1", [
      task,
    ]);
  const worker = (id: string) => queue.one<Record<string, unknown>>("select * from workers where id = $1", [id]);

  describe("to a task", () => {
    it("that takes away its pool leaves it in its pool: without one it would never run", async () => {
      const id = await queue.addTask(pool);
      expect(await patch("tasks", id, { pool: null })).toBeNull();
      expect(await queue.one("select pool from tasks where id = $1", [id])).toEqual({ pool });
      await patch("tasks", id, { status: "Cancelled" });
    });

    it("that deletes it, or changes what it waits for, is followed, and refused where tasks would wait for each other", async () => {
      const first = await queue.addTask(pool);
      const second = await queue.addTask(pool, { dependant_on: first });
      expect(await patch("tasks", first, { dependant_on: second })).toMatch(
        new RegExp(`^PT400: dependant_on: .*${first} waits for ${second}`),
      );
      const both = await service.from("tasks").update({ dependant_on: first }).in("id", [first, second]);
      expect(both).toMatchObject({
        status: 400,
        error: { message: `dependant_on: task ${first} would wait for itself` },
      });
      expect(await patch("tasks", second, { dependant_on: null })).toBeNull();
      expect(await queue.task(second)).toMatchObject({ gate: "open" });
      expect(await patch("tasks", second, { dependant_on: first })).toBeNull();
      expect((await service.from("tasks").delete().eq("id", first)).error).toBeNull();
      expect(await queue.task(second)).toMatchObject({ status: "Failed", dependant_on: null });
    });

    it("that would take, forge or end its lease leaves the lease as it is", async () => {
      const lease = await running();
      const all = () => queue.one("select * from task_attempts where task_id = $1", [lease.task_id]);
      const before = await all();
      const other = await queue.newWorker(pool);
      for (const columns of [
        { lease_token: null },
        { lease_token: randomUUID(), leases: 7, worker_id: null },
        { lease_ended_at: new Date(), leased_at: null, progress: 1, progress_message: "done", reports_progress: false },
      ]) {
        expect(await patch("tasks", lease.task_id, { ...columns, priority: 0 })).toBeNull();
        expect(await all()).toEqual({ ...(before as object), progress_at: expect.any(Date) });
      }
      expect((await service.from("task_attempts").delete().eq("task_id", lease.task_id)).error).not.toBeNull();
      const id = randomUUID();
      const forged = { id, task_type: "vace", pool, worker_id: other, lease_token: randomUUID(), leases: 3 };
      expect((await service.from("tasks").insert(forged)).error).toBeNull();
      expect(await queue.rows("select 1 from task_attempts where task_id = $1", [id])).toEqual([]);
      expect(await queue.finish(lease)).toBe("completed");
      await queue.rows("update tasks set status = 'Cancelled' where id = $1", [id]);
    });

    it("with a number that programs would round is refused by its name and the true limit", async () => {
      const limit = /^PT400: params\.seed: numbers from -9007199254740991 to 9007199254740991 are expected/;
      const id = await queue.addTask(pool, { params: { seed: Number.MAX_SAFE_INTEGER, note: "9007199254740993" } });
      const rounded = await service.from("tasks").insert({ task_type: "vace", pool, params: { seed: 2 ** 53 } });
      expect(`${rounded.error?.code}: ${rounded.error?.message}`).toMatch(limit);
      expect(await patch("tasks", id, { params: { prompt: "a", seed: -(2 ** 60) } })).toMatch(limit);
      await expect(queue.addTask(pool, { params: '{"a": [{"b": 9007199254740992}]}' })).rejects.toThrow(/^params\.a: /);
      expect(await patch("tasks", id, { status: "Cancelled" })).toBeNull();
    });

    it("that completes it ends its lease, with any name of the status", async () => {
      const lease = await running();
      const url = "https://elsewhere.example/v.mp4";
      expect(await patch("tasks", lease.task_id, { status: "completed", output_location: url })).toBeNull();
      expect(await queue.task(lease.task_id)).toMatchObject({
        status: "Complete",
        output_location: url,
        worker_id: lease.worker,
        generation_created: true,
      });
      expect(await attempt(lease.task_id)).toMatchObject({ cause: "completed" });
      expect(await queue.finish(lease)).toBe("already_completed");
    });

    it("that completes it with a file that is missing in storage is refused", async () => {
      const lease = await running();
      const url = `${api.url}/storage/v1/object/public/videos/${lease.task_id}/none.mp4`;
      expect(await patch("tasks", lease.task_id, { status: "Complete", output_location: url })).toMatch(
        /^PT409: .* is not in storage/,
      );
      expect(await queue.release(lease)).toBe("released");
      await patch("tasks", lease.task_id, { status: "Cancelled" });
    });

    it("that fails it ends its lease, and the text in output_location becomes its error", async () => {
      const lease = await running();
      expect(await patch("tasks", lease.task_id, { status: "Failed", output_location: "no prompt" })).toBeNull();
      expect(await queue.task(lease.task_id)).toMatchObject({
        status: "Failed",
        error_message: "no prompt",
        output_location: null,
      });
      expect(await attempt(lease.task_id)).toMatchObject({ cause: "task_error" });
    });

    it.each([["Complete"], ["Failed"], ["Cancelled"]])(
      "cannot change a task that is %s, nor its result",
      async (status) => {
        const { task_id: id } = await running();
        await patch("tasks", id, { status, output_location: "https://elsewhere.example/1.mp4" });
        const before = await queue.task(id);
        for (const other of ["Queued", "in_progress", "Complete", "Failed", "Cancelled"].filter((s) => s !== status)) {
          expect(await patch("tasks", id, { status: other })).toMatch(new RegExp(`^PT409: task ${id} is ${status}`));
        }
        const late = { status, output_location: "https://elsewhere.example/2.mp4" };
        expect(await patch("tasks", id, late)).toMatch(/^PT409: .*its result stays/);
        expect(await patch("tasks", id, { status, output_location: before.output_location })).toBeNull();
        expect(await queue.task(id)).toMatchObject({ status, output_location: before.output_location });
      },
    );

    it("that returns it to the queue ends its lease, counts no attempt, and another worker gets it", async () => {
      const lease = await running();
      expect(await patch("tasks", lease.task_id, { status: "Bogus" })).toMatch(/^23514: status Bogus is none of /);
      expect(await patch("tasks", lease.task_id, { status: "queued", worker_id: null })).toBeNull();
      expect(await queue.task(lease.task_id)).toMatchObject({ status: "Queued", attempts: 0, worker_id: null });
      expect(await attempt(lease.task_id)).toMatchObject({ cause: "released" });
      const next = await queue.lease(await queue.newWorker(pool));
      expect(next.task_id).toBe(lease.task_id);
      expect(await queue.finish(lease)).toBe("lease_lost");
      expect(await queue.finish(next)).toBe("completed");
    });

    it("that returns it to the queue with a fatal error is a failed attempt, and the third is the last", async () => {
      const { task_id: id } = await running();
      for (const count of [1, 2, 3]) {
        const fatal = { status: "Queued", worker_id: null, error_details: `CUDA fault ${count}` };
        expect(await patch("tasks", id, fatal)).toBeNull();
        expect(await attempt(id)).toMatchObject({ cause: "task_error", error: `CUDA fault ${count}` });
        expect(await queue.task(id)).toMatchObject({ status: count < 3 ? "Queued" : "Failed", attempts: count });
        await queue.claim(await queue.newWorker(pool));
      }
      expect(await queue.task(id)).toMatchObject({ error_message: "CUDA fault 3" });
    });

    it("that claims it makes a lease", async () => {
      const claimant = await queue.newWorker(pool);
      const id = await queue.addTask(pool);
      expect(await patch("tasks", id, { status: "In Progress", worker_id: claimant, attempts: 0 })).toBeNull();
      expect(await queue.task(id)).toMatchObject({ status: "In Progress", worker_id: claimant, attempts: 1 });
      expect(await attempt(id)).toMatchObject({ worker_id: claimant, cause: null });
      expect((await queue.lease(claimant)).task_id).toBe(id);
    });

    it.each([
      ["without a worker", () => Promise.resolve(null), {}, /worker_id is missing/],
      ["for an unknown worker", () => Promise.resolve("nobody"), {}, /nobody is not registered/],
      ["for a draining one", () => queue.newWorker(pool, { status: "terminating" }), {}, /is terminating/],
      ["for a busy one", async () => (await running()).worker, {}, /holds another task/],
    ])("cannot claim it %s", async (_, claimant, columns, message) => {
      const worker_id = await claimant();
      const id = await queue.addTask(pool, columns);
      expect(await patch("tasks", id, { status: "In Progress", worker_id })).toMatch(message);
      expect(await queue.task(id)).toMatchObject({ status: "Queued", worker_id: null });
      await patch("tasks", id, { status: "Cancelled" });
    });

    it("cannot claim a task that its project's pause holds, nor open its gate", async () => {
      const project_id = await queue.newProject({ paused: true });
      const id = await queue.addTask(pool, { project_id });
      const claimant = await queue.newWorker(pool);
      expect(await patch("tasks", id, { gate: "open" })).toBeNull();
      expect(await queue.task(id)).toMatchObject({ gate: "held" });
      expect(await patch("tasks", id, { status: "In Progress", worker_id: claimant })).toMatch(/^PT409: .*paused/);
      await patch("tasks", id, { status: "Cancelled" });
    });

    it.each([["Complete"], ["Failed"]])("cannot make a task %s that no worker holds", async (status) => {
      const lease = await running();
      await queue.release(lease);
      expect(await patch("tasks", lease.task_id, { status })).toMatch(/^PT409: .*no worker holds it/);
      expect(await queue.task(lease.task_id)).toMatchObject({ status: "Queued" });
      await patch("tasks", lease.task_id, { status: "Cancelled" });
    });

    it("cannot take it from the worker that holds it", async () => {
      const lease = await running();
      const thief = await queue.newWorker(pool);
      expect(await patch("tasks", lease.task_id, { status: "In Progress", worker_id: thief })).toMatch(
        /^PT409: .*is held/,
      );
      expect(await queue.finish(lease)).toBe("completed");
    });

    it.each([["In Progress"], ["in_progress"]])(
      "that inserts it as %s puts it into the queue, because there is no lease yet",
      async (status) => {
        const holder = await queue.newWorker(pool);
        const row = { task_type: "vace", pool, status, worker_id: holder, generation_started_at: new Date() };
        const { data, error } = await service.from("tasks").insert(row).select("id").single();
        expect(error).toBeNull();
        const { id } = data as { id: string };
        expect(await queue.task(id)).toMatchObject({ status: "Queued", gate: "open", worker_id: null });
        const lease = await queue.lease(holder);
        expect(lease.task_id).toBe(id);
        const { error: merged } = await service.from("tasks").upsert({ ...row, id });
        expect(merged).toBeNull();
        expect(await queue.finish(lease)).toBe("completed");
      },
    );

    it("that says it is in progress counts as progress, and delegates an orchestrator's task to its sub-tasks", async () => {
      const lease = await running({ task_type: "travel_orchestrator" });
      const id = lease.task_id;
      expect(await patch("tasks", id, { status: "In Progress", output_location: "planning" })).toBeNull();
      expect(await attempt(id)).toMatchObject({ cause: null });
      expect(
        await queue.one("select progress_at is not null as moved from task_attempts where task_id = $1", [id]),
      ).toEqual({ moved: true });
      const child = await queue.addTask(pool, { params: { orchestrator_task_id_ref: id } });
      expect(await patch("tasks", id, { status: "In Progress", output_location: "1 segment queued" })).toBeNull();
      expect(await attempt(id)).toMatchObject({ cause: "delegated" });
      const next = await queue.lease(lease.worker);
      expect(next.task_id).toBe(child);
      await queue.finish(next);
      expect(await queue.task(id)).toMatchObject({ status: "Complete" });
    });

    it("at the same time as its worker ends the lease gives one outcome", async () => {
      const lease = await running();
      const session = await queue.session();
      await session.rows("begin");
      await session.call("release_task", {
        p_task_id: lease.task_id,
        p_lease_token: lease.lease_token,
        p_reason: "the pod goes",
      });
      const late = patch("tasks", lease.task_id, { status: "Complete" });
      await expect
        .poll(() =>
          queue.rows("select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"),
        )
        .toHaveLength(1);
      await session.rows("commit");
      expect(await late).toMatch(/^PT409: .*no worker holds it/);
      expect(await queue.task(lease.task_id)).toMatchObject({ status: "Queued" });
      await patch("tasks", lease.task_id, { status: "Cancelled" });
    });
  });

  describe("to a worker", () => {
    it("that says it is in error is evidence in its row and the journal, and does not change its status", async () => {
      const id = await queue.newWorker(pool, { metadata: { ram_tier: 72 } });
      const fatal = { status: "error", metadata: { error_reason: "cuda_driver", self_terminated: true } };
      expect(await patch("workers", id, fatal)).toBeNull();
      expect(await patch("workers", id, fatal)).toBeNull();
      expect(await worker(id)).toMatchObject({
        status: "active",
        metadata: { ram_tier: 72, error_reason: "cuda_driver", self_terminated: true, reported_status: "error" },
      });
      const events = await queue.rows<{ reason: string }>(
        "select reason from pool_events where worker_id = $1 and kind = 'worker.status_reported'",
        [id],
      );
      expect(events).toEqual([{ reason: "reported error, stays active: only its lifecycle changes a status" }]);
    });

    it("with a heartbeat makes a spawning worker active, once, by the database's clock", async () => {
      const id = await queue.newWorker(pool, { status: "spawning" });
      expect(await patch("workers", id, { status: "active" })).toBeNull();
      expect(await worker(id)).toMatchObject({ status: "spawning", ready_at: null });
      const beat = { status: "active", last_heartbeat: "2001-01-01T00:00:00Z" };
      expect(await patch("workers", id, beat)).toBeNull();
      const row = await worker(id);
      expect(row).toMatchObject({ status: "active", boot_stage: "ready", ready_at: expect.any(Date) });
      expect((row["last_heartbeat"] as Date).getFullYear()).toBeGreaterThan(2001);
      expect(
        await queue.rows("select 1 from pool_events where worker_id = $1 and kind = 'worker.ready'", [id]),
      ).toHaveLength(1);
    });

    it.each([["terminating"], ["terminated"], ["error"]])("never revives a worker that is %s", async (status) => {
      const id = await queue.newWorker(pool, { status });
      expect(await patch("workers", id, { status: "active", last_heartbeat: new Date() })).toBeNull();
      expect(await worker(id)).toMatchObject({ status });
      expect((await worker(id))["last_heartbeat"] === null).toBe(status !== "terminating");
    });

    it.each([["spawning"], ["active"]])("that says a %s worker crashed is no heartbeat", async (status) => {
      const id = await queue.newWorker(pool, { status });
      expect(await patch("workers", id, { last_heartbeat: new Date(), status: "crashed" })).toBeNull();
      expect(await worker(id)).toMatchObject({
        status,
        last_heartbeat: null,
        ready_at: null,
        metadata: { reported_status: "crashed" },
      });
    });

    it("that registers a crashed worker does not make it a living one", async () => {
      const row = { id: "box-2", pool, status: "crashed", last_heartbeat: new Date() };
      expect((await service.from("workers").insert(row)).error).toBeNull();
      expect(await worker("box-2")).toMatchObject({ status: "spawning", last_heartbeat: null, ready_at: null });
    });

    it("that gives a worker another id or pool is refused; a machine of another owner may change its pool", async () => {
      const id = await queue.newWorker(pool);
      const other = await queue.newPool();
      expect(await patch("workers", id, { id: "a b" })).toBe(`PT409: id: worker ${id} keeps the one that it has`);
      expect(await patch("workers", id, { pool: other })).toBe(`PT409: pool: worker ${id} keeps the one that it has`);
      expect((await service.from("workers").insert({ id: "box-3", pool })).error).toBeNull();
      expect(await patch("workers", "box-3", { pool: other })).toBeNull();
      expect(await worker("box-3")).toMatchObject({ pool: other });
    });

    it("that registers a worker makes it external, whatever the row says", async () => {
      const row = { id: "box-1", pool, status: "error", origin: "pool", last_heartbeat: new Date() };
      const { error } = await service.from("workers").upsert(row);
      expect(error).toBeNull();
      expect(await worker("box-1")).toMatchObject({ status: "active", origin: "external" });
    });
  });
});
