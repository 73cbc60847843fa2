import type { SupabaseClient } from "@supabase/supabase-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Queue } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

interface Lease {
  readonly id: string;
  readonly params: unknown;
  readonly task_type: string;
  readonly project_id: string;
  readonly attempt: number;
  readonly lease_token: string;
}

const NOWHERE = "00000000-0000-4000-8000-000000000001";

describe("a worker of the old protocol, with the service role's key", () => {
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

  const rpc = async <T>(name: string, args: object, client: SupabaseClient = service): Promise<T> => {
    const { data, error } = await client.rpc(name, args);
    if (error) {
      throw new Error(`${error.code}: ${error.message}`);
    }
    return data as T;
  };
  const claimed = async (worker: string, columns: object = {}) => {
    const id = await queue.addTask(pool, { ...columns });
    const [lease] = await rpc<Lease[]>("func_claim_available_task", { worker_id_param: worker });
    expect(lease?.id).toBe(id);
    return lease!;
  };
  const attempt = (task: string) =>
    queue.one<{ cause: string | null; error: string | null; progress_at: Date | null }>(
      "select * from task_attempts where task_id = $1 order by attempt desc limit 1",
      [task],
    );

  it("claims a task with its parameters and its lease, and gets the same task again, not a second one", async () => {
    const worker = await queue.newWorker(pool);
    expect(await rpc("func_claim_available_task", { worker_id_param: worker })).toEqual([]);
    const [task, other] = await queue.addTasks(pool, 2, { params: { prompt: "a cat" } });
    const first = await rpc<Lease[]>("func_claim_available_task", { worker_id_param: worker });
    expect(first).toEqual([
      {
        id: task,
        params: { prompt: "a cat" },
        task_type: "generate_video",
        project_id: "00000000-0000-0000-0000-000000000000",
        attempt: 1,
        lease_token: expect.stringMatching(/^[0-9a-f-]{36}$/),
        status: "In Progress",
        attempts: 1,
        worker_id: worker,
        generation_started_at: expect.any(String),
        task_data: { prompt: "a cat" },
        created_at: expect.any(String),
      },
    ]);
    expect(await rpc("func_claim_available_task", { worker_id_param: worker })).toEqual(first);
    const named = { task_id_out: task, params_out: { prompt: "a cat" }, task_type_out: "generate_video" };
    for (const name of ["func_claim_available_task", "func_claim_task"]) {
      expect(await rpc(name, { p_table_name: "tasks", p_worker_id: worker })).toMatchObject([named]);
    }
    expect(await queue.task(task!)).toMatchObject({ status: "In Progress", worker_id: worker, attempts: 1 });
    await queue.rows("update tasks set status = 'Cancelled' where id = any ($1)", [[task, other]]);
  });

  it("completes its task by its id alone, and repeats that without effect", async () => {
    const lease = await claimed(await queue.newWorker(pool));
    const result = { video_url: "https://elsewhere.example/v.mp4", processing_time_seconds: 145.3 };
    const args = { p_task_id: lease.id, p_result: result };
    expect(await rpc("func_mark_task_complete", args)).toEqual({
      success: true,
      outcome: "completed",
      status: "Complete",
    });
    expect(await queue.task(lease.id)).toMatchObject({
      status: "Complete",
      output_location: result.video_url,
      result_data: result,
      generation_created: true,
    });
    expect(await attempt(lease.id)).toMatchObject({ cause: "completed" });
    expect(await rpc("func_mark_task_complete", args)).toMatchObject({ success: true, outcome: "already_completed" });
  });

  it("completes and fails tasks by the older names of the arguments", async () => {
    const done = await claimed(await queue.newWorker(pool));
    const result = { output_location: "https://elsewhere.example/w.mp4" };
    expect(await rpc("func_mark_task_complete", { task_id_param: done.id, result_data_param: result })).toMatchObject({
      outcome: "completed",
    });
    expect(await queue.task(done.id)).toMatchObject({ status: "Complete", result_data: result });
    const bad = await claimed(await queue.newWorker(pool));
    expect(
      await rpc("func_mark_task_failed", { task_id_param: bad.id, error_message_param: "no prompt" }),
    ).toMatchObject({
      outcome: "requeued",
    });
    expect(await queue.task(bad.id)).toMatchObject({ error_message: "no prompt" });
    // Arguments by position, as in an SQL editor.
    await queue.rows("select func_mark_task_complete($1::uuid), func_mark_task_failed($1::uuid, 'x')", [done.id]);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [bad.id]);
  });

  it("completes with the public address of a file whose name has characters that URLs encode", async () => {
    const lease = await claimed(await queue.newWorker(pool));
    const files = service.storage.from("videos");
    const path = `${lease.id}/a cat größer.mp4`;
    const { publicUrl } = files.getPublicUrl(path).data;
    expect(publicUrl).toContain("a%20cat");
    const args = { p_table_name: "tasks", p_task_id: lease.id, p_status: "Complete", p_output_location: publicUrl };
    await expect(rpc("func_update_task_status", args)).rejects.toThrow(/is not in storage/);
    await queue.rows("insert into storage.objects (bucket_id, name, metadata) values ('videos', $1, $2)", [
      path,
      { size: 7 },
    ]);
    expect(await rpc("func_update_task_status", args)).toMatchObject({ outcome: "completed" });
  });

  it("cannot complete with a file of this storage that does not exist", async () => {
    const lease = await claimed(await queue.newWorker(pool));
    const path = `${lease.id}/v1.mp4`;
    const url = `${api.url}/storage/v1/object/public/videos/${path}`;
    const args = { p_task_id: lease.id, p_result: { video_url: url } };
    await expect(rpc("func_mark_task_complete", args)).rejects.toThrow(/^PT409: .* is not in storage/);
    expect(await queue.task(lease.id)).toMatchObject({ status: "In Progress" });
    const { error } = await service.storage.from("videos").upload(path, Buffer.from("a video"));
    expect(error).toBeNull();
    expect(await rpc("func_mark_task_complete", args)).toMatchObject({ outcome: "completed" });
  });

  it("cannot use a named lease that has ended, whichever worker holds the task now", async () => {
    const lease = await claimed(await queue.newWorker(pool));
    await queue.release({ ...lease, task_id: lease.id });
    const late = { p_task_id: lease.id, p_lease_token: lease.lease_token };
    expect(await rpc("func_mark_task_complete", { ...late, p_result: {} })).toMatchObject({
      success: false,
      outcome: "lease_lost",
      status: "Queued",
    });
    expect(await rpc("func_mark_task_failed", { ...late, p_error_message: "late" })).toMatchObject({
      success: false,
      outcome: "lease_lost",
    });
    expect(await rpc("func_mark_task_complete", { p_task_id: lease.id })).toMatchObject({ outcome: "not_running" });
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [lease.id]);
  });

  it("fails its task finally with the third attempt", async () => {
    const worker = await queue.newWorker(pool);
    const { id } = await claimed(worker);
    const args = { p_task_id: id, p_error_message: "CUDA out of memory" };
    for (const left of [2, 1, 0]) {
      const outcome = left > 0 ? "requeued" : "failed";
      expect(await rpc("func_mark_task_failed", args)).toMatchObject({ success: true, outcome });
      await rpc("func_claim_available_task", { worker_id_param: worker });
    }
    expect(await queue.task(id)).toMatchObject({ status: "Failed", attempts: 3, error_message: "CUDA out of memory" });
    expect(await rpc("func_mark_task_failed", args)).toMatchObject({ success: false, outcome: "not_running" });
  });

  it("reports a status by any name of it", async () => {
    const worker = await queue.newWorker(pool);
    const update = (id: string, status: string, output?: string) =>
      rpc("func_update_task_status", {
        p_table_name: "tasks",
        p_task_id: id,
        p_status: status,
        ...(output && { p_output_location: output }),
      });
    const done = await claimed(worker);
    expect(await update(done.id, "in_progress", "denoising")).toMatchObject({ success: true, outcome: "progress" });
    expect((await attempt(done.id)).progress_at).not.toBeNull();
    expect(await update(done.id, "completed", "https://elsewhere.example/v.mp4")).toMatchObject({ status: "Complete" });
    await expect(update(done.id, "queued")).rejects.toThrow(/^PT409: .* is Complete and stays so/);
    const bad = await claimed(worker);
    expect(await update(bad.id, "failed", "no prompt")).toMatchObject({ outcome: "requeued", status: "Queued" });
    expect(await queue.task(bad.id)).toMatchObject({ error_message: "no prompt", output_location: null });
    await expect(update(bad.id, "In Progress")).rejects.toThrow(/^PT409: .* is not claimed/);
    expect(await update(bad.id, "canceled")).toMatchObject({ outcome: "set", status: "Cancelled" });
  });

  it("reads tasks by the names of their statuses", async () => {
    const other = await queue.newPool();
    const [a, b] = await queue.addTasks(other, 2);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [b]);
    const found = async (...status: string[]) =>
      (await rpc<{ id: string; pool: string }[]>("func_get_tasks_by_status", { status_filter: status }))
        .filter((task) => task.pool === other)
        .map(({ id }) => id);
    expect(await found("queued")).toEqual([a]);
    const all = await rpc<object[]>("func_get_tasks_by_status", { status_filter: ["Queued"] });
    expect(all).toContainEqual({
      ...(await service.from("tasks").select().eq("id", a!).single()).data,
      task_data: {},
    });
    expect(await found("Queued", "cancelled")).toEqual([a, b]);
    expect(await found()).toEqual([]);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [a]);
  });

  it("returns to the queue the tasks of workers that are not living or never sent a heartbeat, and of no others", async () => {
    const fresh = { last_heartbeat: new Date() };
    const alive = await queue.newWorker(pool, fresh);
    const silent = await queue.newWorker(pool);
    const dead = await queue.newWorker(pool, fresh);
    const leases = [await claimed(alive), await claimed(silent), await claimed(dead)];
    await queue.rows("update workers set status = 'error' where id = $1", [dead]);
    const workers = [alive, silent, dead, "unknown"];
    expect(await rpc("func_reset_orphaned_tasks", { failed_worker_ids: workers })).toBe(2);
    expect(await rpc("func_reset_orphaned_tasks", { failed_worker_ids: workers })).toBe(0);
    const status = await Promise.all(leases.map(async ({ id }) => (await queue.task(id)).status));
    expect(status).toEqual(["In Progress", "Queued", "Queued"]);
    expect(await attempt(leases[1]!.id)).toMatchObject({ cause: "worker_died" });
    await queue.rows("update tasks set status = 'Cancelled' where status in ('Queued', 'In Progress')");
  });

  it("becomes ready with its first heartbeat; an unknown one is registered as external", async () => {
    const known = await queue.newWorker(pool, { status: "spawning" });
    const beat = (worker: string) =>
      rpc("func_update_worker_heartbeat", {
        worker_id_param: worker,
        vram_total_mb_param: 24_000,
        vram_used_mb_param: 5,
      });
    expect(await beat(known)).toEqual({ success: true, worker_status: "active" });
    await queue.rows("insert into pools (name) values ('main') on conflict do nothing");
    expect(await beat("laptop-1")).toEqual({ success: true, worker_status: "active" });
    const row = await queue.one("select pool, origin, vram_total_mb from workers where id = 'laptop-1'");
    expect(row).toEqual({ pool: "main", origin: "external", vram_total_mb: 24_000 });
    await queue.rows("update workers set status = 'terminated', gone_at = now() where id = $1", [known]);
    expect(await beat(known)).toEqual({ success: false, worker_status: "terminated" });
  });

  it("sends log lines with its heartbeat, which are no progress of its task", async () => {
    const worker = await queue.newWorker(pool);
    const lease = await claimed(worker);
    const beat = (logs: unknown, more: object = {}) =>
      rpc("func_worker_heartbeat_with_logs", { worker_id_param: worker, logs_param: logs, ...more });
    const line = { level: "INFO", message: "step 3 of 20", timestamp: new Date().toISOString(), metadata: { step: 3 } };
    const active = { success: true, worker_status: "active", heartbeat_updated: true };
    expect(await beat([line, { level: "odd" }, 7])).toEqual({ ...active, logs_inserted: 1, log_errors: 2 });
    expect((await attempt(lease.id)).progress_at).toBeNull();
    expect(await beat([{ ...line, task_id: lease.id }])).toEqual({ ...active, logs_inserted: 1, log_errors: 0 });
    await beat([], { current_task_id_param: lease.id, status_param: "active" });
    await beat([line], { current_task_id_param: lease.id, vram_total_mb_param: 1, vram_used_mb_param: 1 });
    expect((await attempt(lease.id)).progress_at).toBeNull();
    const stored = await queue.rows("select source_type, log_level, task_id from system_logs where source_id = $1", [
      worker,
    ]);
    expect(stored).toHaveLength(3);
    expect(stored).toContainEqual({ source_type: "worker", log_level: "INFO", task_id: lease.id });
    await rpc("func_mark_task_complete", { p_task_id: lease.id });
  });

  it("reports a crash, which is no heartbeat, changes no status and is journaled once", async () => {
    const worker = await queue.newWorker(pool);
    for (const _ of [1, 2]) {
      expect(
        await rpc("func_worker_heartbeat_with_logs", { worker_id_param: worker, status_param: "crashed" }),
      ).toEqual({ success: true, heartbeat_updated: false, logs_inserted: 0, log_errors: 0, worker_status: "active" });
    }
    const row = await queue.one("select status, last_heartbeat, metadata from workers where id = $1", [worker]);
    expect(row).toMatchObject({ status: "active", last_heartbeat: null, metadata: { reported_status: "crashed" } });
    const events = await queue.rows(
      "select 1 from pool_events where worker_id = $1 and kind = 'worker.status_reported'",
      [worker],
    );
    expect(events).toHaveLength(1);
  });

  it("may use its own token instead of the key, for its own rows", async () => {
    const [mine, other] = await queue.newWorkers(pool, 2);
    await api.giveToken(mine!, "gpw_mine");
    const own = api.asWorker("gpw_mine");
    const foreign = await claimed(other!);
    const [lease] = await rpc<Lease[]>("func_claim_available_task", { worker_id_param: other });
    expect(lease!.id).toBe(foreign.id);
    await expect(rpc("func_claim_available_task", { worker_id_param: other }, own)).rejects.toThrow(/^PT401/);
    await expect(rpc("func_mark_task_complete", { p_task_id: foreign.id }, own)).rejects.toThrow(/^PT401/);
    await expect(rpc("func_update_worker_heartbeat", { worker_id_param: "new-1" }, own)).rejects.toThrow(/^PT401/);
    // Its task was deleted: that is no fault of its token.
    await expect(rpc("func_mark_task_complete", { p_task_id: NOWHERE }, own)).rejects.toThrow(/^PT404: p_task_id/);
    const task = await queue.addTask(pool);
    expect(await rpc("func_claim_available_task", { worker_id_param: mine }, own)).toMatchObject([{ id: task }]);
    const elsewhere = { p_task_id: task, p_result: { video_url: "https://elsewhere.example/v.mp4" } };
    await expect(rpc("func_mark_task_complete", elsewhere, own)).rejects.toThrow(
      /^PT409: .* is not a file of this task/,
    );
    await queue.rows("insert into storage.objects (bucket_id, name, metadata) values ('videos', 'else/v.mp4', $1)", [
      { size: 7 },
    ]);
    const disguised = `https://x/${task}/storage/v1/object/public/videos/else/v.mp4`;
    await expect(
      rpc("func_mark_task_complete", { p_task_id: task, p_result: { video_url: disguised } }, own),
    ).rejects.toThrow(/^PT409: .* is not a file of this task/);
    await expect(
      rpc("func_mark_task_complete", { task_id_param: foreign.id, result_data_param: {} }, own),
    ).rejects.toThrow(/^PT401/);
    expect(await rpc("func_mark_task_failed", { p_task_id: task, p_error_message: "x" }, own)).toMatchObject({
      outcome: "requeued",
    });
  });

  it.each([
    ["func_claim_available_task", { worker_id_param: null }, /^PT400: worker_id_param/],
    ["func_claim_available_task", { worker_id_param: "a b" }, /^PT400: worker_id_param/],
    ["func_claim_available_task", { worker_id_param: "nobody" }, /^PT404: worker_id_param: .*nobody/],
    ["func_claim_available_task", { p_table_name: "jobs", p_worker_id: "w" }, /^PT400: p_table_name: jobs/],
    ["func_claim_task", { p_table_name: "tasks", p_worker_id: "nobody" }, /^PT404: p_worker_id/],
    ["func_mark_task_complete", { p_task_id: null }, /^PT400: p_task_id/],
    ["func_mark_task_complete", { p_task_id: NOWHERE }, /^PT404: p_task_id/],
    ["func_mark_task_failed", { p_task_id: NOWHERE, p_error_message: "x" }, /^PT404: p_task_id/],
    ["func_update_task_status", { p_table_name: "x", p_task_id: NOWHERE, p_status: "Failed" }, /^PT400: p_table_name/],
    ["func_update_task_status", { p_table_name: "tasks", p_task_id: NOWHERE, p_status: "odd\n" }, /^PT400: p_status/],
    ["func_update_task_status", { p_table_name: "tasks", p_task_id: NOWHERE, p_status: "Failed" }, /^PT404: p_task_id/],
    ["func_get_tasks_by_status", { status_filter: null }, /^PT400: status_filter/],
    ["func_get_tasks_by_status", { status_filter: ["Queued", "odd"] }, /^PT400: status_filter: .*odd/],
    ["func_reset_orphaned_tasks", { failed_worker_ids: null }, /^PT400: failed_worker_ids/],
    ["func_update_worker_heartbeat", { worker_id_param: null }, /^PT400: worker_id_param/],
    ["func_update_worker_heartbeat", { worker_id_param: "w", vram_total_mb_param: -1 }, /^PT400: vram_total_mb_param/],
    ["func_worker_heartbeat_with_logs", { worker_id_param: "w", logs_param: {} }, /^PT400: logs_param/],
  ])("gets an error that names the wrong argument of %s: %o", async (name, args, message) => {
    await expect(rpc(name, args)).rejects.toThrow(message);
  });
});
