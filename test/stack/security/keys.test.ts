import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const WORKER_FUNCTIONS =
  /^(authorize_upload|(claim|delegate|fail|finish|release)_task|report_progress|pod_job_report|finish_and_claim|(keep|kept)_request|worker_(can_do|heartbeat|logs|report_boot)|func_(claim_available_task|mark_task_(complete|failed)|update_worker_heartbeat|worker_heartbeat_with_logs))$/;

/** Functions that are open to callers of every kind; each of them checks its caller. */
const API_FUNCTIONS =
  /^(task_counts|api_((cancel|claim|create|delegate|finish|get|update)_task|list_tasks|task_output|(create|revoke)_token|authorize_upload|read_tasks|predecessor_output|completed_segments|service_request))$/;

describe("the public key over HTTP", () => {
  let api: QueueApi;
  let tables: string[];
  let stored: string[];
  let pool: string;
  let task: string;
  let worker: string;
  beforeAll(async () => {
    api = await openQueueApi();
    const { queue } = api;
    pool = await queue.newPool();
    worker = await queue.newWorker(pool);
    task = await queue.addTask(pool);
    const rows = await queue.rows<{ name: string; kind: string }>(
      "select relname as name, relkind as kind from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')",
    );
    tables = rows.map(({ name }) => name);
    stored = rows.filter(({ kind }) => kind === "r").map(({ name }) => name);
  });
  afterAll(() => api?.close());

  const sign = (claims: Record<string, unknown>, secret: string, expiresAt: number) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt()
      .setExpirationTime(expiresAt)
      .sign(new TextEncoder().encode(secret));
  const nowSec = () => Math.floor(Date.now() / 1000);
  const withBearer = (token: string) => api.client(api.keys.anonKey, { Authorization: `Bearer ${token}` });
  const everything = async () => {
    const content: Record<string, unknown> = {};
    for (const table of stored) {
      content[table] = await api.queue.rows(`select * from ${table} as row order by row::text`);
    }
    return content;
  };

  it("alone reads and writes no table", async () => {
    expect(tables).toEqual(expect.arrayContaining(["pools", "workers", "tasks", "task_attempts", "pool_events"]));
    const before = await everything();
    const anon = api.client(api.keys.anonKey);
    for (const name of tables) {
      const table = anon.from(name);
      const answers = await Promise.all([
        table.select("*"),
        table.select("*", { head: true, count: "exact" }),
        table.insert({}),
        table.update({ name: "mine" }).neq("name", ""),
        table.delete().neq("name", ""),
      ]);
      for (const { status, data } of answers) {
        expect({ name, status, data }).toMatchObject({ name, data: null });
        expect(status).toBeGreaterThanOrEqual(400);
      }
      expect(answers[0]).toMatchObject({ status: 401, error: { code: "42501" } });
    }
    expect(await everything()).toEqual(before);
  });

  it("alone writes no task and no worker, even if the row is named exactly", async () => {
    const before = await everything();
    const anon = api.client(api.keys.anonKey);
    const denied = { status: 401, error: { code: "42501" } };
    expect(await anon.from("tasks").insert({ task_type: "generate_video" })).toMatchObject(denied);
    expect(await anon.from("tasks").update({ status: "Complete" }).eq("id", task)).toMatchObject(denied);
    expect(await anon.from("tasks").delete().eq("id", task)).toMatchObject(denied);
    expect(await anon.from("workers").update({ status: "error" }).eq("id", worker)).toMatchObject(denied);
    expect(await anon.from("workers").upsert({ id: "w-1", pool })).toMatchObject(denied);
    expect(await everything()).toEqual(before);
  });

  it("alone calls none of the pool's functions", async () => {
    const functions = await api.queue.rows<{ name: string; args: string[] | null }>(
      `select proname as name, proargnames[1:pronargs] as args from pg_proc
       where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype`,
    );
    const ours = functions.filter(({ name }) => !WORKER_FUNCTIONS.test(name) && name !== "api_caller");
    expect(ours.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["reserve_workers", "drain_worker", "fail_worker", "pool_set_intent", "close_attempt"]),
    );
    const before = await everything();
    const anon = api.client(api.keys.anonKey);
    for (const { name, args } of ours) {
      const { status, error } = await anon.rpc(name, Object.fromEntries((args ?? []).map((arg) => [arg, null])));
      expect({ name, status, code: error?.code }).toEqual({
        name,
        status: 401,
        code: API_FUNCTIONS.test(name) ? "PT401" : "42501",
      });
    }
    expect(await everything()).toEqual(before);
  });

  it("together with a signed-in user reads nothing of others and claims no task", async () => {
    const claims = { role: "authenticated", sub: "6f1b0c36-3c5a-4f0e-9a52-0d4b7d0f2f11" };
    const user = withBearer(await sign(claims, api.keys.jwtSecret, nowSec() + 600));
    expect(await user.from("tasks").select("id")).toMatchObject({ status: 200, data: [] });
    expect(await user.from("workers").select("id")).toMatchObject({ status: 403, error: { code: "42501" } });
    expect(await user.rpc("pool_open", { p_pool: pool, p_config: {} })).toMatchObject({
      status: 403,
      error: { code: "42501" },
    });
    expect(await user.rpc("claim_task", { p_worker_id: worker })).toMatchObject({
      status: 401,
      error: { code: "PT401" },
    });
  });

  it("does not help a forged, expired or unsigned token of the service role, which is refused with 401", async () => {
    const service = { role: "service_role" };
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const tokens = [
      await sign(service, "another-secret-that-is-long-enough-0123456789", nowSec() + 600),
      await sign(service, api.keys.jwtSecret, nowSec() - 600),
      `${encode({ alg: "none", typ: "JWT" })}.${encode({ ...service, exp: nowSec() + 600 })}.`,
      "nonsense",
    ];
    for (const token of tokens) {
      expect(await withBearer(token).from("tasks").select("id")).toMatchObject({ status: 401, data: null });
      expect(await withBearer(token).rpc("worker_load", { p_worker_id: worker })).toMatchObject({
        status: 401,
        data: null,
      });
    }
    const valid = withBearer(await sign(service, api.keys.jwtSecret, nowSec() + 600));
    expect(await valid.from("tasks").select("id")).toMatchObject({ status: 200, data: [{ id: task }] });
  });

  it("is required: an unknown key is refused with 401, whatever token comes with it", async () => {
    const stranger = api.client("not-a-key", { Authorization: `Bearer ${api.keys.serviceRoleKey}` });
    expect(await stranger.from("tasks").select("id")).toMatchObject({ status: 401, data: null });
  });
});
