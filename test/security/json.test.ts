import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { holdsInfinity, isNestedDeeper } from "../../supabase/functions/_shared/text.ts";
import { openPeopleApi, type PeopleApi, type Person } from "../kit/api.ts";

function many(keys: number): string {
  return `{${Array.from({ length: keys }, (_, index) => `"key${index}":1`).join(",")}}`;
}

function numbers(text: string, count: number): string {
  return `{"n":[${Array<string>(count).fill(text).join(",")}]}`;
}

/** Values that take a moment to send, and minutes or gigabytes to read. */
const HOSTILE: Readonly<Record<string, readonly [value: string, status: number, limit: string]>> = {
  "60,000 keys": [many(60_000), 413, "json_bytes"],
  "20,001 elements": [numbers("1", 20_001), 400, "json_values"],
  "a megabyte of text": [`{"a":"${"x".repeat(1_000_000)}"}`, 413, "json_bytes"],
  "one number of 131,072 digits": ['{"n":1e131071}', 400, "json_digits"],
  "11 KB of such numbers": [numbers("1e131071", 1_200), 400, "json_digits"],
  "fractions of 16,383 digits": [numbers("1e-16383", 50), 400, "json_digits"],
  "zeros of 16,383 digits": [numbers("0e-16383", 50), 400, "json_digits"],
};

/** What these aggregate is counted, measured or made by this program, or cut to a length. */
const OF_OUR_OWN = [
  "boot_figures",
  "demand_figures",
  "failed_boots",
  "failed_runs",
  "fit_line",
  "janitor_stock",
  "living_processes",
  "measured_answer",
  "metric_pools",
  "metrics_read",
  "pool_history",
  "pool_observe",
  "pool_open",
  "process_beat",
  "service_figures",
  "types_without_worker",
  "worker_placement",
  "workers_diagnose",
];

describe("JSON that costs more to read than to send", () => {
  let api: PeopleApi;
  let person: Person;
  let pool: string;
  let worker: string;
  const token = "wt_json";
  const asWorker = { "x-worker-token": token };
  const asUser = (secret: string) => ({ "x-api-token": secret });
  beforeAll(async () => {
    api = await openPeopleApi();
    person = await api.newPerson();
    pool = await api.queue.newPool();
    worker = await api.queue.newWorker(pool);
    await api.giveToken(worker, token);
  });
  afterAll(() => api?.close());

  const send = async (method: string, path: string, body: string, headers: Record<string, string> = {}) => {
    const { serviceRoleKey } = api.keys;
    const asService = { apikey: serviceRoleKey, authorization: `Bearer ${serviceRoleKey}` };
    const own = Object.keys(headers).length === 0 ? asService : { apikey: api.keys.anonKey };
    const response = await fetch(`${api.url}/rest/v1/${path}`, {
      method,
      body,
      headers: { "content-type": "application/json", ...own, ...headers },
    });
    return { status: response.status, text: await response.text() };
  };

  it.each(Object.entries(HOSTILE))("%s are refused by their limit at every door", async (_, [value, status, limit]) => {
    const task = await api.queue.addTask(pool);
    const lease = await api.queue.lease(worker);
    expect(lease.task_id).toBe(task);
    const finish = { p_task_id: task, p_lease_token: lease.lease_token, p_storage_path: null, p_output_location: null };
    const doors: [string, string, string, Record<string, string>?][] = [
      ["POST", "rpc/api_create_task", `{"p_task":{"task_type":"t","params":${value}}}`, asUser(person.token)],
      ["POST", "tasks", `{"task_type":"t","pool":"${pool}","params":${value}}`],
      ["PATCH", `tasks?id=eq.${task}`, `{"params":${value}}`],
      ["PATCH", `tasks?id=eq.${task}`, `{"result_data":${value}}`],
      ["PATCH", `workers?id=eq.${worker}`, `{"metadata":${value}}`],
      ["PATCH", `pools?name=eq.${pool}`, `{"config":${value}}`],
      ["POST", "system_logs", `{"source_type":"worker","log_level":"INFO","message":"m","metadata":${value}}`],
      ["POST", "rpc/finish_task", `${JSON.stringify(finish).slice(0, -1)},"p_result":${value}}`, asWorker],
      [
        "POST",
        "rpc/delegate_task",
        `{"p_task_id":"${task}","p_lease_token":"${lease.lease_token}","p_sub_tasks":[{"id":"${randomUUID()}","task_type":"t","params":${value}}]}`,
        asWorker,
      ],
    ];
    for (const [method, path, body, headers] of doors) {
      const answer = await send(method, path, body, headers);
      expect([path, answer.status, answer.text]).toEqual([path, status, expect.stringContaining(limit)]);
    }
    expect(await api.queue.finish(lease)).toBe("completed");
  });

  it("a list of many elements is refused by its limit at the edge functions too, not by their end", async () => {
    const params = { n: Array<number>(200_000).fill(1) };
    const beforeThem = await api.call("create-task", person.token, { task_type: "t", params });
    expect([beforeThem.status, JSON.stringify(beforeThem.body)]).toEqual([400, expect.stringContaining("30000 keys")]);
    // A hosted project has no gateway of ours before its functions.
    expect(holdsInfinity(params)).toBe(false);
  });

  it("a body of nothing but levels is refused before it is parsed, also without a credential", async () => {
    const levels = `{"task_type":"t","params":{"\\"[":${"[".repeat(100_001)}${"]".repeat(100_001)}}}`;
    for (const door of ["create-task", "claim-next-task", "generate-upload-url"]) {
      const answer = await api.call(door, null, levels);
      const body: unknown = expect.objectContaining({ message: expect.stringContaining("30000 keys") as string });
      expect([door, answer]).toEqual([door, { status: 400, body }]);
    }
    // A hosted project has no gateway of ours before its functions, which look before they parse.
    expect(isNestedDeeper(levels, 100_000)).toBe(true);
    // Brackets in a text are no levels.
    const text = { task_type: "t", params: { prompt: `"\\${"[".repeat(100_001)}` } };
    expect((await api.call("create-task", (await api.newPerson()).token, text)).status).toBeLessThan(300);
  });

  it("a time that is infinite keeps no pool from being observed", async () => {
    const observed = await api.queue.newPool();
    const own = await api.queue.newWorker(observed, { origin: "external" });
    const service = api.client(api.keys.serviceRoleKey);
    for (const time of ["-infinity", "infinity"]) {
      for (const column of ["created_at", "ready_at", "boot_stage_at", "vram_at", "last_signal_at"]) {
        const { error } = await service
          .from("workers")
          .update({ [column]: time })
          .eq("id", own);
        expect([column, error?.code]).toEqual([column, "PT400"]);
      }
      const born = await service.from("workers").insert({ id: `${observed}-2`, pool: observed, created_at: time });
      expect(born.error?.code).toBe("PT400");
      const task = { task_type: "t", pool: observed, created_at: time, updated_at: time };
      expect((await service.from("tasks").insert(task)).error).toBeNull();
    }
    const look = { p_pool: observed, p_known_fleet: null, p_full: true, p_poll_sec: 30 };
    expect(await api.queue.call("pool_observe", look)).toMatchObject({ queued: 2 });
  });

  it("a log line of such values keeps its text, and the other lines are written", async () => {
    const poison = HOSTILE["11 KB of such numbers"]![0];
    const lines = [
      `{"level":"INFO","message":"first","metadata":${poison}}`,
      `{"level":"INFO","message":${poison}}`,
      `{"level":"INFO","message":"third","task_id":${poison},"timestamp":${poison}}`,
      `{"level":"INFO","message":"fourth","metadata":${many(60_000)}}`,
      '{"level":"INFO","message":"last"}',
    ];
    const body = `{"p_worker_id":"${worker}","p_logs":[${lines.join(",")}]}`;
    const answer = await send("POST", "rpc/worker_logs", body, asWorker);
    expect(answer).toEqual({ status: 200, text: expect.stringContaining('"inserted": 4') as string });
    const beat = `{"worker_id_param":"${worker}","logs_param":[${lines.join(",")}]}`;
    const beaten = await send("POST", "rpc/func_worker_heartbeat_with_logs", beat, asWorker);
    expect(beaten).toEqual({ status: 200, text: expect.stringContaining('"logs_inserted": 4') as string });
    const stored = await api.queue.rows<{ message: string; metadata: object }>(
      "select message, metadata from system_logs where worker_id = $1 order by id",
      [worker],
    );
    const expected = [
      { message: "first", metadata: { left_out: "a number of more than 400 digits" } },
      { message: "third" },
      { message: "fourth", metadata: { left_out: "more than 262144 bytes" } },
      { message: "last", metadata: {} },
    ];
    expect(stored).toMatchObject([...expected, ...expected]);
  });

  it("nothing that callers write goes through an aggregate whose time grows with the square of its size", async () => {
    const functions = await api.queue.rows<{ name: string }>(
      `select proname as name from pg_proc where pronamespace = 'public'::regnamespace
         and prosrc ~ 'jsonb_(object_)?agg\\(' order by 1`,
    );
    expect(functions.map(({ name }) => name)).toEqual(OF_OUR_OWN);
  });

  it("a long number in a large, deep value is given back as text, as fast as any other value", async () => {
    const params = `{"deep":${"[".repeat(490)}"${"x".repeat(200_000)}"${"]".repeat(490)},"quoted":"\\"1234567890123456789, [",
      "exact":9007199254740991,"many":{"1234567890123456789":[true,null,-0.5]}}`;
    const id = await api.queue.addTask(pool, { params, project_id: person.project });
    await api.queue.rows("update tasks set status = 'In Progress' where id = $1", [id]);
    await api.queue.rows(
      `update tasks set status = 'Complete', result_data = params || '{"long": [-9007199254740993, 1e20]}' where id = $1`,
      [id],
    );
    const listed = await api.ask("GET", "/api/tasks", person.token);
    expect([listed.status, (listed.body.tasks as unknown[]).length]).toEqual([200, 1]);
    const read = await api.ask("GET", `/api/tasks/${id}`, person.token);
    expect(read.status).toBe(200);
    const { long, ...rest } = read.body.result_data as Record<string, unknown>;
    expect(long).toEqual(["-9007199254740993", "100000000000000000000"]);
    expect(rest).toEqual(JSON.parse(params));
  });
});
