import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { type PoolStore, poolStore } from "../../../src/supabase/pool-store.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const odd = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("\0", "\ud83c", "\udfac\0", "\u202emirrored", "🎬"),
);

describe("a text of any characters", () => {
  let api: QueueApi;
  let pools: PoolStore;
  beforeAll(async () => {
    api = await openQueueApi();
    pools = poolStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
  });
  afterAll(() => api?.close());

  it("invariant 16: is stored through the TypeScript door, in texts and in JSON", async () => {
    const pool = await api.queue.newPool();
    const entries: { kind: string; reason: string }[] = [];
    await fc.assert(
      fc.asyncProperty(
        odd,
        odd,
        fc.dictionary(odd, fc.jsonValue({ stringUnit: odd, maxDepth: 3 })),
        async (...entry) => {
          const [kind, reason, details] = entry;
          await pools.journal(pool, `odd ${kind}`, reason, details);
          entries.push({ kind: `odd ${kind}`, reason });
        },
      ),
      { numRuns: 60 },
    );
    const stored = await api.queue.rows<{ kind: string; reason: string }>(
      "select kind, reason from pool_events where pool = $1 and kind like 'odd %' order by id",
      [pool],
    );
    const asUtf8 = (text: string) => Buffer.from(text.replaceAll("\0", "\ufffd")).toString();
    const expected = entries.map(({ kind, reason }) => ({ kind: asUtf8(kind), reason: asUtf8(reason) }));
    expect(stored).toEqual(expected);
  });

  it("a megabyte long is stored, and 500 levels of JSON are", async () => {
    const pool = await api.queue.newPool();
    const deep = JSON.parse(`${"[".repeat(498)}${"]".repeat(498)}`) as unknown;
    await pools.journal(pool, "long", "🎬\0".repeat(350_000), { deep });
    const [{ length } = { length: 0 }] = await api.queue.rows<{ length: number }>(
      "select length(reason) as length from pool_events where pool = $1 and kind = 'long'",
      [pool],
    );
    expect(length).toBe(700_000);
  });

  it("invariant 16: in a log line of an old worker loses neither its heartbeat nor its other lines", async () => {
    const { queue } = api;
    const pool = await queue.newPool();
    const worker = await queue.newWorker(pool);
    await queue.addTask(pool);
    const lease = await queue.lease(worker);
    const line = (message: string, metadata = "{}") =>
      `{"level": "INFO", "task_id": "${lease.task_id}", "message": "${message}", "metadata": ${metadata}}`;
    const deep = `{"a": ${"[".repeat(4_000)}${"]".repeat(4_000)}}`;
    const beat = async (lines: readonly string[], more = "") => {
      await queue.rows("update workers set last_heartbeat = null where id = $1", [worker]);
      const response = await fetch(`${api.url}/rest/v1/rpc/func_worker_heartbeat_with_logs`, {
        method: "POST",
        headers: { apikey: api.keys.secretKey, "content-type": "application/json", prefer: "return=representation" },
        body: `{"worker_id_param": "${worker}", "logs_param": [${lines.join(",")}], "status_param": "active"${more}}`,
      });
      expect(response.status).toBe(200);
      const [row] = await queue.rows("select last_heartbeat from workers where id = $1", [worker]);
      expect(row).not.toEqual({ last_heartbeat: null });
      return await response.json();
    };
    const answer = { success: true, worker_status: "active", heartbeat_updated: true };
    const nul = [
      line("a\\u0000b \\\\u0000 \\\\\\u0000"),
      line("ok", '{"a\\u0000": "\\u0000"}'),
      line("🎬 \\ud83c\\udfac"),
    ];
    expect(await beat(nul)).toEqual({ ...answer, logs_inserted: 3, log_errors: 0 });
    const stored = "select message, metadata from system_logs where source_id = $1 order by id";
    expect(await queue.rows(stored, [worker])).toEqual([
      { message: "a\ufffdb \\u0000 \\\ufffd", metadata: {} },
      { message: "ok", metadata: { "a\ufffd": "\ufffd" } },
      { message: "🎬 🎬", metadata: {} },
    ]);
    const odd = [line("large", '{"a": 1e400000}'), line("deep", deep), line("fine"), "1e400000", line("")];
    expect(await beat(odd)).toEqual({ ...answer, logs_inserted: 3, log_errors: 2 });
    expect((await queue.rows<{ message: string }>(stored, [worker])).slice(3)).toMatchObject([
      { message: "deep", metadata: { left_out: "nested too deeply" } },
      { message: "fine" },
      { message: "" },
    ]);
    const strange =
      ', "current_task_id_param": "unknown_task_1", "vram_total_mb_param": 24564.5, "vram_used_mb_param": 1e300';
    expect(await beat([line("vram")], strange)).toMatchObject(answer);
    expect(await queue.one("select vram_total_mb, vram_used_mb from workers where id = $1", [worker])).toMatchObject({
      vram_total_mb: 24_564,
    });
  });

  it("invariant 16: JSON that is nested too deeply is refused at every door of the database, whatever its depth", async () => {
    const { queue, keys } = api;
    const pool = await queue.newPool();
    const worker = await queue.newWorker(pool);
    const task = await queue.addTask(pool);
    const send = async (method: string, path: string, body: string) => {
      const headers = { apikey: keys.serviceRoleKey, "content-type": "application/json" };
      const authorization = `Bearer ${keys.serviceRoleKey}`;
      const response = await fetch(`${api.url}/rest/v1/${path}`, {
        method,
        body,
        headers: { ...headers, authorization },
      });
      return { status: response.status, text: await response.text() };
    };
    const doors = await queue.rows<{ name: string; column: string }>(
      `select table_name as name, column_name as column from information_schema.columns join pg_class c
         on c.oid = ('public.' || table_name)::regclass and c.relkind = 'r'
       where table_schema = 'public' and data_type = 'jsonb' and table_name <> 'worker_diagnostics' order by 1, 2`,
    );
    expect(doors.map(({ name, column }) => `${name}.${column}`)).toEqual([
      "outbox.payload",
      "pod_jobs.details",
      "pod_jobs.report",
      "pool_events.details",
      "pool_measurements.figures",
      "pools.config",
      "pools.environment",
      "prepared_volumes.manifest",
      "system_logs.metadata",
      "tasks.params",
      "tasks.result_data",
      "workers.metadata",
    ]);
    const needed: Record<string, object> = {
      outbox: { kind: "pool.alert", payload: {}, endpoint_id: null },
      pod_jobs: { worker_id: worker, details: {}, purpose: "spawn-test", timeout_sec: 60 },
      pool_events: { pool, kind: "k", reason: "r" },
      pool_measurements: { pool },
      pools: { name: `${pool}-deep` },
      prepared_volumes: { volume_id: "deep" },
      system_logs: { source_type: "worker", log_level: "INFO", message: "m" },
      tasks: { task_type: "t", pool },
      workers: { id: `${pool}-deep`, pool },
    };
    const rows: Record<string, string> = {
      pools: `name=eq.${pool}`,
      tasks: `id=eq.${task}`,
      workers: `id=eq.${worker}`,
    };
    for (const depth of [510, 3_000, 20_000]) {
      const value = `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
      for (const { name, column } of doors) {
        const row = `${JSON.stringify(needed[name]).replace(`"${column}":{},`, "").slice(0, -1)},"${column}":${value}}`;
        const filter = rows[name];
        const answers = [
          await send("POST", name, row),
          ...(filter === undefined ? [] : [await send("PATCH", `${name}?${filter}`, `{"${column}":${value}}`)]),
        ];
        for (const { status, text } of answers) {
          // Postgres itself cannot read 20,000 levels, and does not name the column.
          const refusal = depth === 20_000 ? [413, "stack depth limit"] : [400, `${column}: nested too deeply`];
          expect([status, text], `${name}.${column} ${depth}`).toEqual([
            refusal[0],
            expect.stringContaining(String(refusal[1])),
          ]);
        }
      }
      const functions = await queue.rows<{ name: string; parameter: string | null }>(`
        select proname as name, nullif(proargnames[place], '') as parameter
        from pg_proc, unnest(proargtypes::oid[]) with ordinality as given (type, place)
        where pronamespace = 'public'::regnamespace and type in ('json'::regtype, 'jsonb'::regtype)
          and has_function_privilege('service_role', pg_proc.oid, 'execute')`);
      expect(functions.length).toBeGreaterThan(20);
      for (const { name, parameter } of functions) {
        const { status, text } = await send("POST", `rpc/${name}`, `{"${parameter ?? "worker_id_param"}":${value}}`);
        expect(status, `${name} ${depth} ${text}`).toBeLessThan(500);
      }
    }
    expect(await queue.rows("select 1 from tasks where pool = $1", [pool])).toHaveLength(1);
  });

  it("500 levels are stored in every row of people and workers", async () => {
    const params = JSON.parse(`{"a":${"[".repeat(498)}${"]".repeat(498)}}`) as object;
    const service = api.client(api.keys.serviceRoleKey);
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    expect((await service.from("tasks").insert({ task_type: "t", pool, params })).error).toBeNull();
    const lease = await api.queue.lease(worker);
    expect(lease.params).toEqual(params);
    const finish = { p_task_id: lease.task_id, p_lease_token: lease.lease_token, p_storage_path: null };
    const { error } = await service.rpc("finish_task", { ...finish, p_output_location: null, p_result: params });
    expect(error).toBeNull();
  });
});
