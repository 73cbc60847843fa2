import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const METACHARACTERS = [
  `it's an odd "quote`,
  "'; drop table tasks; --",
  "' or '1'='1",
  "$$; select pg_sleep(9); $$",
  'quoted "identifiers" and `ticks`',
  "per%cent _under \\back\\slash",
  "%s %I %L {0} ${1} $1 :name ?",
  "line\nbreak\ttab\r\n",
  "héllo → 漢字 🎬",
];

/** A message in HTTP's status line, which has no line breaks. */
function oneLine(text: string) {
  return text.replaceAll(/[\r\n\t]/g, " ");
}

/** A value of this type that contains the text, if the type allows it. */
function hostile(type: string, text: string): unknown {
  if (type === "text") {
    return text;
  }
  if (type === "text[]") {
    return [text];
  }
  if (type === "jsonb") {
    return { [text]: text, status: text, task_type: text, limit: text, cursor: text };
  }
  if (type === "uuid") {
    return "00000000-0000-4000-8000-000000000001";
  }
  if (type === "uuid[]") {
    return ["00000000-0000-4000-8000-000000000001"];
  }
  if (type === "boolean") {
    return false;
  }
  return type.startsWith("timestamp") ? "2030-01-31T12:00:00Z" : 1;
}

describe("text in a parameter is data, whatever characters it has", () => {
  let api: QueueApi;
  let pool: string;
  let worker: string;
  let token: string;
  beforeAll(async () => {
    api = await openQueueApi();
  });
  beforeEach(async () => {
    pool = await api.queue.newPool();
    worker = await api.queue.newWorker(pool);
    token = randomBytes(32).toString("base64url");
    await api.giveToken(worker, token);
  });
  afterAll(() => api?.close());

  const asService = async <T>(name: string, args: object) => {
    const { data, error } = await api.client(api.keys.serviceRoleKey).rpc(name, args);
    expect(error).toBeNull();
    return data as T;
  };
  const lease = async () => {
    await api.queue.addTask(pool, { task_type: "a_text" });
    return await api.queue.lease(worker);
  };
  const attempt = (of: ClaimedTask) =>
    api.queue.one("select * from task_attempts where lease_token = $1", [of.lease_token]);

  it.each(METACHARACTERS)("from a worker: %j", async (text) => {
    const pod = api.asWorker(token);
    expect(await pod.rpc("claim_task", { p_worker_id: text })).toMatchObject({
      status: 401,
      error: { message: `credential refused for worker ${oneLine(text)}` },
    });
    expect(await pod.rpc("worker_heartbeat", { p_worker_id: text })).toMatchObject({ status: 401 });

    const progressed = await lease();
    await pod.rpc("report_progress", { ...leaseArgs(progressed), p_progress: 0.5, p_message: text });
    expect(await attempt(progressed)).toMatchObject({ progress_message: text });

    const file = { p_storage_path: text, p_output_location: text, p_result: { text } };
    expect(await pod.rpc("finish_task", { ...leaseArgs(progressed), ...file })).toMatchObject({
      status: 409,
      error: {
        code: "PT409",
        message: `task ${progressed.task_id} cannot complete: object ${oneLine(text)} is not in storage`,
      },
    });
    await pod.rpc("finish_task", { ...leaseArgs(progressed), ...file, p_storage_path: null, p_output_location: null });
    expect(await api.queue.task(progressed.task_id)).toMatchObject({ status: "Complete", result_data: { text } });

    const failed = await lease();
    await pod.rpc("fail_task", { ...leaseArgs(failed), p_error: text, p_permanent: true });
    expect(await api.queue.task(failed.task_id)).toMatchObject({ status: "Failed", error_message: text });

    const released = await lease();
    await pod.rpc("release_task", { ...leaseArgs(released), p_reason: text });
    expect(await attempt(released)).toMatchObject({ cause: "released", error: text });
  });

  it.each(METACHARACTERS)("as a worker's token: %j", async (text) => {
    // A header allows no line breaks and only Latin-1 characters; the hash is made of the text that arrives.
    const header = text.replaceAll(/[^\x20-\x7e]/g, "").trim();
    const refused = await api.asWorker(header).rpc("claim_task", { p_worker_id: worker });
    expect(refused).toMatchObject({ status: 401, error: { code: "PT401" } });
    await api.giveToken(worker, header);
    const taken = await api.asWorker(header).rpc("claim_task", { p_worker_id: worker });
    expect(taken).toMatchObject({ status: 200, data: { worker_status: "active" } });
  });

  it.each(METACHARACTERS)("from the pool: %j", async (text) => {
    const reading = { p_known_fleet: text, p_full: false, p_poll_sec: 30 };
    expect(await asService("pool_observe", { p_pool: pool, ...reading })).toMatchObject({ fleet: [{ id: worker }] });
    const missing = await api.client(api.keys.serviceRoleKey).rpc("pool_observe", { p_pool: text, ...reading });
    expect(missing).toMatchObject({ status: 404, error: { message: `pool ${oneLine(text)} does not exist` } });

    await asService("pool_set_intent", { p_pool: pool, p_kind: text, p_hold: 1 });
    await asService("pool_record_decision", {
      p_pool: pool,
      p_decision_id: text,
      p_kind: text,
      p_reason: text,
      p_details: { text },
      p_signals: [
        { worker: text, signal: text },
        { worker, signal: text },
      ],
    });
    const [spawned] = (
      await asService<{ workers: string[] }>("reserve_workers", {
        p_pool: pool,
        p_decision_id: `booked ${text}`,
        p_count: 1,
        p_max: 9,
        p_intent_version: 1,
        p_instance_type: text,
      })
    ).workers;
    const post = { p_worker_id: spawned, p_token_hash: `${pool} ${text}`, p_lifetime_sec: 60 };
    expect(await asService("worker_begin_post", post)).toBe("elected");
    await asService("worker_boot_stage", { p_worker_id: spawned, p_stage: text });
    const pod = { p_pod_id: text, p_cost_per_hr_usd: 1, p_created_at: null, p_adopted: false };
    expect(await api.queue.one("select * from workers where id = $1", [spawned])).toMatchObject({
      instance_type: text,
      decision_id: `booked ${text}`,
      token_hash: `${pool} ${text}`,
      // A stage that no boot has changes nothing.
      boot_stage: "posting",
    });
    await asService("worker_record_pod", { p_worker_id: spawned, ...pod });
    await asService("drain_worker", { p_worker_id: spawned, p_reason: text, p_only_idle: true });
    expect(await asService("worker_load", { p_worker_id: spawned })).toMatchObject({
      pod_id: text,
      status: "terminating",
      status_reason: text,
    });
    await asService("fail_worker", { p_worker_id: worker, p_lease_cause: "stuck", p_reason: text });
    expect(await asService("worker_load", { p_worker_id: worker })).toMatchObject({
      status: "error",
      status_reason: text,
    });

    const events = await api.queue.rows<{ kind: string; reason: string; decision_id: string | null; details: unknown }>(
      "select kind, reason, decision_id, details from pool_events where pool = $1 order by id",
      [pool],
    );
    expect(events).toMatchObject([
      { kind: `message.${text}` },
      { kind: text, reason: text, decision_id: text, details: { text } },
      { kind: "workers.reserved", decision_id: `booked ${text}` },
      { kind: "pod.created", reason: expect.stringContaining(text) },
      { kind: "worker.drain", reason: `drained: ${text}` },
      { kind: "worker.fail", reason: `failed: ${text}` },
    ]);
  });

  it.each(METACHARACTERS)("in a submitted row: %j", async (text) => {
    const service = api.client(api.keys.serviceRoleKey);
    const row = { task_type: text, pool: text, params: { [text]: text } };
    const { data, error } = await service.from("tasks").insert(row).select("*").single();
    expect(error).toBeNull();
    expect(data).toMatchObject({ ...row, status: "Queued", gate: "open" });
  });

  it("in every parameter of every function that a public role may call", async () => {
    const functions = await api.queue.rows<{
      name: string;
      open: boolean;
      parameters: { name: string; type: string }[];
    }>(`
      select p.proname as name, has_function_privilege('anon', p.oid, 'execute') as open, coalesce((
        select jsonb_agg(jsonb_build_object('name', p.proargnames[i], 'type', format_type(p.proargtypes[i - 1], null)))
        from generate_series(1, p.pronargs) i), '[]') as parameters
      from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype
        and has_function_privilege('service_role', p.oid, 'execute')`);
    expect(functions.length).toBeGreaterThan(50);
    expect(functions.filter(({ open }) => open).length).toBeGreaterThan(20);
    const tables = () =>
      api.queue.rows("select relname, relkind from pg_class where relnamespace = 'public'::regnamespace order by 1");
    const before = await tables();
    const errors: object[] = [];
    for (const text of METACHARACTERS) {
      for (const { name, parameters } of functions) {
        const args = Object.fromEntries(parameters.map((each) => [each.name, hostile(each.type, text)]));
        const { status, error } = await api.client(api.keys.serviceRoleKey).rpc(name, args);
        // Wrong syntax, unknown names, a table in use: the text was read as SQL. 57014: it ran and slept. PGRST: it was not called.
        const isBad = /^(?:42601|2BP01|42P01|42703|42883|57014|PGRST.*)$/.test(error?.code ?? "");
        if (status >= 500 || isBad) {
          errors.push({ name, text, status, code: error?.code, message: error?.message });
        }
      }
    }
    expect(errors).toEqual([]);
    expect(await tables()).toEqual(before);
  });

  it("a reason longer than a page is cut, not refused", async () => {
    const released = await lease();
    const pod = api.asWorker(token);
    await pod.rpc("release_task", { ...leaseArgs(released), p_reason: "z".repeat(100_000) });
    expect(await attempt(released)).toMatchObject({ error: "z".repeat(4000) });
  });
});
