import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256 } from "../../kit/queue.ts";
import { openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";

describe("access through PostgREST", () => {
  let api: PeopleApi;
  let ann: Person;
  let bob: Person;
  let task: string;
  beforeAll(async () => {
    api = await openPeopleApi();
    [ann, bob] = [await api.newPerson(), await api.newPerson()];
    task = await api.queue.addTask(await api.queue.newPool(), { project_id: ann.project });
  });
  afterAll(() => api?.close());

  const as = (jwt: string) => api.client(api.keys.anonKey, { Authorization: `Bearer ${jwt}` });
  const withToken = (token: string) => api.client(api.keys.anonKey, { "x-api-token": token });

  it("shows a signed-in user only the rows of their own projects in projects, tasks and tokens", async () => {
    expect((await as(ann.jwt).from("tasks").select("id")).data).toEqual([{ id: task }]);
    expect((await as(ann.jwt).from("projects").select("id")).data).toEqual([{ id: ann.project }]);
    expect((await as(ann.jwt).from("user_api_tokens").select("user_id,label")).data).toEqual([
      { user_id: ann.userId, label: "test" },
    ]);
    expect((await as(bob.jwt).from("tasks").select("id")).data).toEqual([]);
    expect((await as(bob.jwt).from("projects").select("id").eq("id", ann.project)).data).toEqual([]);
  });

  it("shows the token of a lease to the project's user, whom it lets write nothing: the worker's credential is needed", async () => {
    const pool = await api.queue.newPool();
    const id = await api.queue.addTask(pool, { project_id: ann.project });
    const worker = await api.queue.newWorker(pool);
    await api.queue.lease(worker);
    const { data: row } = await as(ann.jwt).from("tasks").select("*").eq("id", id).single();
    expect(row).toMatchObject({ id, worker_id: worker, leases: 1, lease_token: expect.any(String) });
    const lease = { p_task_id: id, p_lease_token: row.lease_token };
    const file = { p_storage_path: null, p_output_location: null, p_result: {} };
    const calls: [string, object][] = [
      ["report_progress", { p_progress: 0.5 }],
      ["authorize_upload", {}],
      ["finish_task", file],
      ["finish_and_claim", file],
      ["fail_task", { p_error: "no" }],
      ["release_task", { p_reason: "no" }],
      ["delegate_task", {}],
      ["func_mark_task_complete", { p_result: {} }],
      ["func_mark_task_failed", { p_error_message: "no" }],
      ["api_authorize_upload", {}],
      ["api_finish_task", { p_storage_path: null, p_output_location: null }],
      ["api_update_task", { p_status: "Failed" }],
    ];
    const before = await api.queue.one("select * from tasks where id = $1", [id]);
    for (const client of [as(ann.jwt), withToken(ann.token), as(bob.jwt), api.client(api.keys.anonKey)]) {
      for (const [name, args] of calls) {
        const { status } = await client.rpc(name, { ...lease, ...args });
        expect([name, [401, 403, 404].includes(status)]).toEqual([name, true]);
      }
    }
    expect(await api.queue.one("select * from tasks where id = $1", [id])).toEqual(before);
    await api.queue.rows("delete from tasks where id = $1", [id]);
  });

  it("lets a signed-in user write no table, and read neither a token's hash nor any other table", async () => {
    const client = as(ann.jwt);
    const refused = { error: { code: "42501" } };
    expect(await client.from("tasks").update({ status: "Complete" }).eq("id", task)).toMatchObject(refused);
    expect(await client.from("tasks").delete().eq("id", task)).toMatchObject(refused);
    expect(await client.from("tasks").insert({ task_type: "x", project_id: ann.project })).toMatchObject(refused);
    expect(await client.from("projects").update({ max_running: null }).eq("id", ann.project)).toMatchObject(refused);
    expect(await client.from("projects").insert({ user_id: ann.userId })).toMatchObject(refused);
    expect(await client.from("user_api_tokens").select("token_hash")).toMatchObject(refused);
    for (const table of ["workers", "task_attempts", "pools", "pool_events"]) {
      expect(await client.from(table).select("*")).toMatchObject(refused);
    }
  });

  it("shows the public key no row, with a personal access token or without", async () => {
    for (const client of [api.client(api.keys.anonKey), withToken(ann.token)]) {
      for (const table of ["tasks", "projects", "user_api_tokens", "workers"]) {
        expect(await client.from(table).select("*")).toMatchObject({ error: { code: "42501" } });
      }
    }
  });

  it("distinguishes every kind of caller", async () => {
    const worker = await api.queue.newWorker(await api.queue.newPool());
    await api.giveToken(worker, "the worker's");
    const who = async (client: ReturnType<typeof as>) => (await client.rpc("api_caller")).data;
    const nobody = { user_id: null, worker_id: null };
    expect(await who(api.client(api.keys.serviceRoleKey))).toEqual({ ...nobody, kind: "service" });
    expect(await who(as(ann.jwt))).toEqual({ ...nobody, kind: "user", user_id: ann.userId });
    expect(await who(withToken(ann.token))).toEqual({ ...nobody, kind: "pat", user_id: ann.userId });
    expect(await who(api.asWorker("the worker's"))).toEqual({ ...nobody, kind: "worker", worker_id: worker });
    expect(await who(api.client(api.keys.anonKey))).toEqual({ ...nobody, kind: "anon" });
  });

  it("makes a token for a user that is stored only as a hash, works at once, and is invalid once revoked", async () => {
    const { data: made } = await as(ann.jwt).rpc("api_create_token", { p_label: "laptop" });
    expect(made).toMatchObject({ user_id: ann.userId, label: "laptop", token: expect.stringMatching(/^gpp_\w{64}$/) });
    const stored = await api.queue.one<object>("select * from user_api_tokens where id = $1", [made.id]);
    expect(stored).toMatchObject({ token_hash: sha256(made.token), last_used_at: null });
    expect(JSON.stringify(stored)).not.toContain(made.token);
    expect(await api.ask("GET", `/api/tasks/${task}`, made.token)).toMatchObject({ status: 200 });
    expect(
      await api.queue.one("select last_used_at is not null as used from user_api_tokens where id = $1", [made.id]),
    ).toEqual({ used: true });
    expect((await as(bob.jwt).rpc("api_revoke_token", { p_id: made.id })).status).toBe(404);
    expect(await api.ask("GET", `/api/tasks/${task}`, made.token)).toMatchObject({ status: 200 });
    expect((await as(ann.jwt).rpc("api_revoke_token", { p_id: made.id })).data).toMatchObject({ revoked: true });
    expect(await api.ask("GET", `/api/tasks/${task}`, made.token)).toMatchObject({ status: 401 });
  });

  it("makes no token for another user, for a caller with a token, or for an anonymous caller", async () => {
    const make = async (client: ReturnType<typeof as>, more: object = {}) =>
      (await client.rpc("api_create_token", { p_label: "x", ...more })).status;
    expect(await make(as(ann.jwt), { p_user_id: bob.userId })).toBe(403);
    expect(await make(withToken(ann.token))).toBe(403);
    expect(await make(api.client(api.keys.serviceRoleKey))).toBe(403);
    expect(await make(api.client(api.keys.anonKey))).toBe(401);
  });

  it("keeps tokens valid that a table held in clear text, also when applied again", async () => {
    await api.queue.rows("alter table user_api_tokens add column token text not null default gen_random_uuid()::text");
    const old = `old-${randomUUID()}`;
    await api.queue.rows("insert into user_api_tokens (user_id, token) values ($1, $2)", [ann.userId, old]);
    for (const name of [
      "20261122000170_credentials",
      "20261122000900_api",
      "20261122000920_api_tasks",
      "20261122000950_api_workers",
    ]) {
      await api.queue.rows(readFileSync(`sql/${name}.sql`, "utf8"));
    }
    expect(await api.ask("GET", `/api/tasks/${task}`, old)).toMatchObject({ status: 200, body: { id: task } });
    expect(await api.ask("GET", `/api/tasks/${task}`, ann.token)).toMatchObject({ status: 200 });
    expect((await as(ann.jwt).rpc("api_create_token", { p_label: "new" })).status).toBe(200);
  });
});
