import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { logStore } from "../../../src/supabase/log-store.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

interface Row {
  readonly log_level: string;
  readonly message: string;
  readonly source_type: string;
  readonly source_id: string;
  readonly worker_id: string | null;
  readonly task_id: string | null;
  readonly cycle_number: number | null;
  readonly metadata: Record<string, unknown>;
  readonly is_now: boolean;
}

describe("the table system_logs", () => {
  let api: QueueApi;
  beforeAll(async () => {
    api = await openQueueApi();
  });
  afterAll(() => api?.close());

  const rowsOf = (source: string) =>
    api.queue.rows<Row>(
      "select *, timestamp > now() - interval '1 minute' as is_now from system_logs where source_id = $1 order by id",
      [source],
    );
  const asService = () => api.client(api.keys.serviceRoleKey);
  const line = (source: string, fields: object = {}) => ({
    level: "INFO",
    message: "hello",
    source_type: "orchestrator_gpu",
    source_id: source,
    ...fields,
  });

  it("accepts a batch from the service role, with levels as loggers spell them", async () => {
    const task = randomUUID();
    const logs = [
      line("levels", { level: "WARN", timestamp: "2026-01-02T03:04:05Z", task_id: task, metadata: { a: 1 } }),
      line("levels", { level: undefined, log_level: "critical", worker_id: "w-1", cycle_number: 7 }),
    ];
    const { data } = await asService().rpc("func_insert_logs_batch", { logs });
    expect(data).toEqual({ success: true, inserted: 2, errors: 0 });
    expect(await rowsOf("levels")).toMatchObject([
      { log_level: "WARNING", task_id: task, metadata: { a: 1 }, is_now: false },
      { log_level: "CRITICAL", worker_id: "w-1", cycle_number: 7, is_now: true },
    ]);
  });

  it("counts lines that cannot be stored and writes the others, without unreadable details", async () => {
    const logs = [
      line("mixed", { level: "LOUD" }),
      line("mixed", { message: null }),
      line("mixed", { source_type: "elsewhere" }),
      "text",
      line("mixed", { task_id: "no uuid", timestamp: "2999-01-01T00:00:00Z", cycle_number: "x", metadata: [1] }),
      line("mixed", { message: "x".repeat(9_000), timestamp: "yesterday-ish", metadata: { long: "y".repeat(20_000) } }),
    ];
    const { data } = await asService().rpc("func_insert_logs_batch", { logs });
    expect(data).toEqual({ success: true, inserted: 2, errors: 4 });
    const [odd, long] = await rowsOf("mixed");
    expect(odd).toMatchObject({ task_id: null, cycle_number: null, metadata: {}, is_now: true });
    expect(long).toMatchObject({ is_now: true, metadata: { left_out: expect.any(String) as string } });
    expect(long?.message).toHaveLength(8_000);
  });

  it("refuses a malformed batch and names what is wrong", async () => {
    const none = await asService().rpc("func_insert_logs_batch", { logs: { level: "INFO" } });
    expect(none).toMatchObject({ status: 400, error: { message: "logs must be an array of log lines, got object" } });
    const many = await asService().rpc("func_insert_logs_batch", { logs: Array(1_001).fill(line("many")) });
    expect(many).toMatchObject({ status: 400, error: { message: "too many log lines in one call: 1001" } });
    expect(await rowsOf("many")).toEqual([]);
  });

  it("accepts a worker's lines under its own name only, and with a task only if the worker held it", async () => {
    const { queue } = api;
    const pool = await queue.newPool();
    const [worker = "", other = ""] = await queue.newWorkers(pool, 2);
    await queue.addTask(pool);
    const foreign = await queue.addTask(pool);
    await api.giveToken(worker, "token-of-logs");
    const { task_id: own } = await queue.lease(worker);
    const p_logs = [
      { level: "INFO", message: "mine", task_id: own, source_type: "orchestrator_gpu", worker_id: other },
      { level: "ERROR", message: "not mine", task_id: foreign, source_id: other },
      { level: "ERROR", message: "no task", task_id: "'; drop table tasks; --" },
    ];
    const pod = api.asWorker("token-of-logs");
    expect((await pod.rpc("worker_logs", { p_worker_id: worker, p_logs })).data).toMatchObject({ inserted: 3 });
    const source = { source_type: "worker", worker_id: worker };
    expect(await rowsOf(worker)).toMatchObject([
      { ...source, message: "mine", task_id: own },
      { ...source, message: "not mine", task_id: null },
      { ...source, message: "no task", task_id: null },
    ]);
    expect((await pod.rpc("worker_logs", { p_worker_id: other, p_logs })).status).toBe(401);
    expect((await api.client(api.keys.anonKey).rpc("worker_logs", { p_worker_id: worker, p_logs })).status).toBe(401);
    expect(await rowsOf(other)).toEqual([]);
  });

  it("cannot be written, read or cleaned up with the public key", async () => {
    const anyone = api.client(api.keys.anonKey);
    const attempts = [
      await anyone.rpc("func_insert_logs_batch", { logs: [line("intruder")] }),
      await anyone.rpc("func_cleanup_old_logs", { retention_hours: 1 }),
      await anyone.from("system_logs").select(),
      await anyone.from("system_logs").insert({ source_type: "worker", log_level: "INFO", message: "x" }),
      await anyone.from("worker_diagnostics").select(),
    ];
    expect(attempts.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
  });

  it("is cleared of lines older than the retention, in batches, and of no other line", async () => {
    const store = logStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
    await api.queue.rows(`insert into system_logs (timestamp, source_type, source_id, log_level, message)
      select now() - make_interval(hours => age), 'worker', 'aged', 'INFO', age::text
      from generate_series(1, 25000) as n, lateral (select case when n <= 20001 then 49 else 47 end as age) as a`);
    expect(await store.cleanUp(48)).toEqual({ deleted: 20_000, more: true });
    expect(await store.cleanUp(48)).toMatchObject({ more: false });
    expect(await api.queue.call("func_cleanup_old_logs", { retention_hours: 48 })).toMatchObject({ success: true });
    const left = await api.queue.rows("select distinct message from system_logs where source_id = 'aged'");
    expect(left).toEqual([{ message: "47" }]);
  });

  it("cannot be emptied by a retention of zero", async () => {
    for (const [hours, said] of [
      [0, "0"],
      [null, "nothing"],
    ]) {
      const { error } = await asService().rpc("func_cleanup_old_logs", { retention_hours: hours });
      expect(error?.message).toBe(`retention_hours must be at least 1, got ${said}`);
    }
  });
});
