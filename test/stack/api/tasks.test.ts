import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";

describe("the tasks API", () => {
  let api: PeopleApi;
  let ann: Person;
  let bob: Person;
  beforeAll(async () => {
    api = await openPeopleApi();
  });
  beforeEach(async () => {
    [ann, bob] = [await api.newPerson(), await api.newPerson()];
  });
  afterAll(() => api?.close());

  const sunset = { task_type: "video_generation", params: { prompt: "a sunset over mountains", frames: 24 } };
  const create = async (person: Person, more: object = {}) => {
    const made = await api.ask("POST", "/api/tasks", person.token, { ...sunset, ...more });
    expect(made).toMatchObject({ status: 201 });
    return made.body.id as string;
  };

  it.each(["jwt", "token"] as const)("takes, shows, lists and cancels a task for a user's %s", async (kind) => {
    const made = await api.ask("POST", "/api/tasks", ann[kind], sunset);
    expect(made).toMatchObject({
      status: 201,
      body: { task_type: "generate_video", status: "Queued", params: sunset.params, project_id: ann.project },
    });
    const path = `/api/tasks/${made.body.id}`;
    expect(await api.ask("GET", path, ann[kind])).toEqual({ status: 200, body: made.body });
    expect((await api.ask("GET", "/api/tasks?status=Queued", ann[kind])).body).toEqual({
      tasks: [made.body],
      next_cursor: null,
    });
    const cancelled = { status: 200, body: { id: made.body.id, status: "Cancelled" } };
    expect(await api.ask("DELETE", path, ann[kind])).toMatchObject(cancelled);
    expect(await api.ask("POST", `${path}/cancel`, ann[kind])).toMatchObject(cancelled);
    expect((await api.ask("GET", "/api/tasks?status=Queued", ann[kind])).body.tasks).toEqual([]);
  });

  it("refuses a number that would be rounded, and shows one of a result with all its digits, as a text", async () => {
    const body = '{"task_type":"generate_video","params":{"prompt":"a","seed":9007199254740993}}';
    expect(await api.ask("POST", "/api/tasks", ann.token, body)).toMatchObject({
      status: 400,
      body: {
        error: {
          code: "invalid_request",
          field: "params",
          message: expect.stringMatching(/^params\.seed: .*9007199254740991/),
        },
      },
    });
    const id = await create(ann, { params: { prompt: "a", seed: Number.MAX_SAFE_INTEGER } });
    const result = '{"seed": 9223372036854775807, "parts": [{"seed": 5}, 18446744073709551615]}';
    await api.queue.rows("update tasks set status = 'Complete', result_data = $2 where id = $1", [id, result]);
    expect((await api.ask("GET", `/api/tasks/${id}`, ann.token)).body).toMatchObject({
      params: { seed: Number.MAX_SAFE_INTEGER },
      result_data: { seed: "9223372036854775807", parts: [{ seed: 5 }, "18446744073709551615"] },
    });
  });

  it("is the same under /functions/v1/tasks, and gives the service key every project", async () => {
    const id = await create(ann);
    for (const path of [`/functions/v1/tasks/${id}`, `/api/tasks/${id}`]) {
      expect(await api.ask("GET", path, api.keys.serviceRoleKey)).toMatchObject({ status: 200, body: { id } });
    }
    const all = await api.ask("GET", "/functions/v1/tasks?limit=200", api.keys.serviceRoleKey);
    expect(all.body.tasks.map((task: { id: string }) => task.id)).toContain(id);
    const made = await api.ask("POST", "/functions/v1/tasks", api.keys.serviceRoleKey, { ...sunset, priority: 5 });
    expect(made).toMatchObject({
      status: 201,
      body: { priority: 5, project_id: "00000000-0000-0000-0000-000000000000" },
    });
  });

  it("hides another user's task: it cannot be read, listed, cancelled or waited for", async () => {
    const id = await create(ann);
    for (const bearer of [bob.jwt, bob.token]) {
      for (const [method, path] of [
        ["GET", `/api/tasks/${id}`],
        ["DELETE", `/api/tasks/${id}`],
        ["POST", `/api/tasks/${id}/cancel`],
      ] as const) {
        const answer = await api.ask(method, path, bearer);
        expect(answer).toMatchObject({ status: 404, body: { error: { code: "not_found", field: "id" } } });
      }
      expect((await api.ask("GET", "/api/tasks", bearer)).body.tasks).toEqual([]);
      expect((await api.ask("GET", `/api/tasks?project_id=${ann.project}`, bearer)).body.tasks).toEqual([]);
      expect(await api.ask("POST", "/api/tasks", bearer, { ...sunset, dependant_on: id })).toMatchObject({
        status: 400,
        body: { error: { field: "dependant_on" } },
      });
      expect(await api.ask("POST", "/api/tasks", bearer, { ...sunset, project_id: ann.project })).toMatchObject({
        status: 403,
        body: { error: { code: "forbidden", field: "project_id" } },
      });
    }
    expect((await api.queue.task(id)).status).toBe("Queued");
  });

  it("refuses unknown callers: no credential, the public key, a forged or expired JWT, an unknown or revoked token", async () => {
    const revoked = await api.newPerson();
    const [row] = await api.queue.rows<{ id: string }>("select id from user_api_tokens where user_id = $1", [
      revoked.userId,
    ]);
    const revoke = await api.client(api.keys.serviceRoleKey).rpc("api_revoke_token", { p_id: row!.id });
    expect(revoke.data).toEqual({ id: row!.id, revoked: true });
    const forged = await api.signJwt({ role: "service_role" }, "x".repeat(40));
    const expired = await api.signJwt({ role: "authenticated", sub: ann.userId, exp: 1 });
    const [stored] = await api.queue.rows<{ token_hash: string }>(
      "select token_hash from user_api_tokens where user_id = $1",
      [ann.userId],
    );
    for (const bearer of [
      null,
      api.keys.anonKey,
      forged,
      expired,
      `${ann.jwt.slice(0, -4)}AAAA`,
      "gpp_never_given",
      stored!.token_hash,
      revoked.token,
    ]) {
      for (const [method, path, body] of [
        ["GET", "/api/tasks"],
        ["POST", "/api/tasks", sunset],
        ["GET", `/api/tasks/${randomUUID()}`],
      ] as const) {
        const answer = await api.ask(method, path, bearer, body);
        expect(answer).toMatchObject({ status: 401, body: { error: { code: "unauthorized" } } });
      }
    }
  });

  it.each<[string, string, object]>([
    ["task_type", "is missing", { task_type: undefined }],
    ["task_type", "is no text", { task_type: 7 }],
    ["task_type", "is SQL", { task_type: "x'; drop table tasks; --" }],
    ["params", "is no object", { params: [1] }],
    ["project_id", "is no UUID", { project_id: "mine" }],
    ["project_id", "is a number", { project_id: 5 }],
    ["dependant_on", "is not there", { dependant_on: randomUUID() }],
    ["id", "is no UUID", { id: "1" }],
    ["priority", "is no whole number", { priority: 0.5 }],
    ["priority", "is a text", { priority: "high" }],
    ["status", "is not the caller's to set", { status: "Complete" }],
  ])("names the field %s when it %s", async (field, _, more) => {
    const answer = await api.ask("POST", "/api/tasks", ann.token, { ...sunset, ...more });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_request", field } } });
    expect(answer.body.error.message).toContain(field);
  });

  it("takes a priority only from the service key, and requires a user with several projects to name one", async () => {
    expect(await api.ask("POST", "/api/tasks", ann.jwt, { ...sunset, priority: 1 })).toMatchObject({
      status: 403,
      body: { error: { field: "priority" } },
    });
    const second = await api.queue.newProject({ user_id: ann.userId });
    expect(await api.ask("POST", "/api/tasks", ann.jwt, sunset)).toMatchObject({
      status: 400,
      body: { error: { field: "project_id", message: expect.stringContaining("2 projects") } },
    });
    const there = await api.queue.task(await create(ann, { project_id: second }));
    expect(there.project_id).toBe(second);
  });

  it("takes no priority from a worker's token either", async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    await api.giveToken(worker, "gpw_forward");
    await api.queue.addTask(pool, { project_id: ann.project });
    await api.queue.lease(worker);
    const sub = (priority: number) =>
      api.asWorker("gpw_forward").rpc("api_create_task", { p_task: { ...sunset, priority } });
    expect(await sub(1)).toMatchObject({ status: 403, error: { details: "priority" } });
    expect(await sub(0)).toMatchObject({ error: null, data: { priority: 0, project_id: ann.project } });
  });

  it("creates a repeated id once, and refuses it with other content", async () => {
    const id = randomUUID();
    await create(ann, { id });
    await create(ann, { id });
    expect(await api.queue.rows("select 1 from tasks where project_id = $1", [ann.project])).toHaveLength(1);
    const other = await api.ask("POST", "/api/tasks", ann.token, { ...sunset, id, params: {} });
    expect(other).toMatchObject({ status: 409, body: { error: { code: "conflict", field: "id" } } });
  });

  it("pages through all tasks once, also those created at the same instant", async () => {
    const ids = await api.queue.addTasks(await api.queue.newPool(), 7, { project_id: ann.project });
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page = await api.ask("GET", `/api/tasks?limit=3${cursor && `&cursor=${cursor}`}`, ann.token);
      expect(page.status).toBe(200);
      expect(page.body.tasks.length).toBeLessThanOrEqual(3);
      seen.push(...page.body.tasks.map((task: { id: string }) => task.id));
      cursor = page.body.next_cursor;
    }
    expect(seen.toSorted()).toEqual(ids.toSorted());
    expect(new Set(seen).size).toBe(7);
  });

  it.each([
    ["status", "status=queued'"],
    ["limit", "limit=0"],
    ["limit", "limit=201"],
    ["cursor", "cursor=1"],
    ["project_id", "project_id=x"],
    ["sort", "sort=up"],
  ])("names the filter %s in ?%s", async (field, query) => {
    expect(await api.ask("GET", `/api/tasks?${query}`, ann.token)).toMatchObject({
      status: 400,
      body: { error: { field } },
    });
  });

  it("cancels a running task and lets its worker know, and does not cancel a complete one", async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    await api.queue.addTask(pool, { project_id: ann.project });
    const running = await api.queue.lease(worker);
    expect(await api.ask("DELETE", `/api/tasks/${running.task_id}`, ann.token)).toMatchObject({ status: 200 });
    expect(await api.queue.finish(running)).toBe("lease_lost");
    await api.queue.addTask(pool, { project_id: ann.project });
    const done = await api.queue.lease(worker);
    await api.queue.finish(done);
    expect(await api.ask("DELETE", `/api/tasks/${done.task_id}`, ann.token)).toMatchObject({
      status: 409,
      body: { error: { code: "conflict", message: expect.stringContaining("Complete") } },
    });
  });

  it("cancels a task that a worker claims at the same moment, and ends its lease", async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    const id = await api.queue.addTask(pool, { project_id: ann.project });
    const claiming = await api.queue.session();
    await claiming.rows("begin");
    await claiming.call("claim_task", { p_worker_id: worker });
    const cancelling = await api.queue.session();
    const cancelled = cancelling.call<{ status: string }>("api_cancel_task", { p_id: id });
    await api.queue.untilBlocked(cancelling);
    await claiming.rows("commit");
    expect(await cancelled).toMatchObject({ id, status: "Cancelled" });
    expect(await api.queue.rows("select cause from task_attempts where task_id = $1", [id])).toEqual([
      { cause: "cancelled" },
    ]);
  });

  it("answers other methods, addresses and bodies in the same shape", async () => {
    const id = randomUUID();
    for (const [method, path, status, body] of [
      ["PUT", "/api/tasks", 405, {}],
      ["PATCH", `/api/tasks/${id}`, 405, {}],
      ["GET", `/api/tasks/${id}/cancel`, 405, undefined],
      ["GET", `/api/tasks/${id}/other`, 404, undefined],
      ["GET", "/api/tasks/1", 400, undefined],
      ["POST", "/api/tasks", 400, "not json"],
      ["POST", "/api/tasks", 400, "[]"],
    ] as const) {
      const answer = await api.ask(method, path, ann.token, body);
      expect({ method, path, status: answer.status }).toEqual({ method, path, status });
      expect(answer.body.error).toMatchObject({ code: expect.any(String), message: expect.any(String) });
    }
  });

  it("describes itself by a document that names every route, and by a page that loads no other file", async () => {
    const { status, body } = await api.ask("GET", "/api/openapi.json", null);
    expect(status).toBe(200);
    expect(body.openapi).toBe("3.1.0");
    expect(Object.keys(body.paths)).toEqual(["/tasks", "/tasks/{id}", "/tasks/{id}/cancel"]);
    const made = await api.ask("POST", "/api/tasks", ann.token, sunset);
    expect(Object.keys(body.components.schemas.Task.properties).toSorted()).toEqual(Object.keys(made.body).toSorted());
    const page = await fetch(`${api.url}/api/docs`);
    expect(page.headers.get("content-type")).toContain("text/html");
    const html = await page.text();
    expect(html).toContain("POST /tasks/{id}/cancel");
    expect(html).not.toMatch(/src=|https?:\/\/|<script|@import/);
  });
});
