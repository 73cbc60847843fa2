import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Answer, openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";
import { sha256 } from "../../kit/queue.ts";

const video = Buffer.from("a video").toString("base64");

interface Machine {
  readonly id: string;
  readonly token: string;
  readonly secret: string;
  /** What the public worker gets as --supabase-url. */
  readonly url: string;
}

interface Call {
  readonly method?: string;
  readonly bearer?: string;
  readonly apikey?: string;
  readonly accept?: string;
  readonly body?: unknown;
}

let api: PeopleApi;
let ann: Person;
let bob: Person;
let pool: string;
beforeAll(async () => {
  api = await openPeopleApi();
});
beforeEach(async () => {
  [ann, bob] = [await api.newPerson(), await api.newPerson()];
  pool = await api.queue.newPool();
});
afterAll(() => api?.close());

async function register(): Promise<Machine> {
  const machine = {
    id: `box-${randomUUID().slice(0, 8)}`,
    token: `gpw_${randomBytes(32).toString("base64url")}`,
    secret: `gpb_${randomBytes(32).toString("base64url")}`,
  };
  await api.queue.call("register_external_worker", {
    p_worker_id: machine.id,
    p_pool: pool,
    p_token_hash: sha256(machine.token),
    p_beat_hash: sha256(machine.secret),
    p_lifetime_sec: 3600,
  });
  return { ...machine, url: `${api.url}/functions/v1/old-worker/${machine.secret}` };
}

async function send(url: string, { method = "POST", bearer, apikey, accept, body }: Call): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      "content-type": "application/json",
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(apikey !== undefined && { apikey }),
      ...(accept !== undefined && { accept }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}
/** A call of an edge function, as the public worker makes it: the token as bearer, and no key. */
function edge({ url, token }: Pick<Machine, "url" | "token">, name: string, body: object) {
  return send(`${url}/functions/v1/${name}`, { bearer: token, body });
}
/** A read of the public worker's Supabase client, which sends its key twice. */
function read({ url, token }: Pick<Machine, "url" | "token">, query: Record<string, string>, accept?: string) {
  const search = new URLSearchParams(query).toString();
  return send(`${url}/rest/v1/tasks?${search}`, {
    method: "GET",
    apikey: token,
    bearer: token,
    ...(accept && { accept }),
  });
}
/** A heartbeat of the public worker's guardian, which sends `apikey` alone. */
function beat({ url, id }: Pick<Machine, "url" | "id">, apikey: string, more: object = {}) {
  const body = { worker_id_param: id, vram_total_mb_param: 0, vram_used_mb_param: 0, logs_param: [], ...more };
  return send(`${url}/rest/v1/rpc/func_worker_heartbeat_with_logs`, { apikey, body });
}
const oneRow = "application/vnd.pgrst.object+json";
function recovery(id: string) {
  const select = "id, params, task_type, project_id";
  return { select, worker_id: `eq.${id}`, status: "eq.In Progress", limit: "1" };
}
function childrenOf(id: string) {
  const select = "id, task_type, status, params, output_location";
  return { select, params: `cs.{"orchestrator_task_id_ref": "${id}"}`, order: "created_at.asc" };
}
function created(id: string) {
  return { select: "status, created_at, project_id, task_type", id: `eq.${id}` };
}

describe("a public worker with its own token, and no service key", () => {
  it("does its whole work: heartbeats, claims, sub-tasks, uploads, completions, failures", async () => {
    const worker = await register();
    const parent = await api.queue.addTask(pool, { project_id: ann.project, task_type: "travel_orchestrator" });
    const claim = () => edge(worker, "claim-next-task", { worker_id: worker.id, run_type: "gpu" });
    expect(await claim()).toMatchObject({ status: 409, body: { error: "worker_not_ready", field: "worker_id" } });
    const line = { timestamp: new Date().toISOString(), level: "INFO", message: "ready", task_id: null, metadata: {} };
    expect(await beat(worker, api.keys.anonKey, { status_param: "active", logs_param: [line] })).toMatchObject({
      status: 200,
      body: { success: true, heartbeat_updated: true, logs_inserted: 1, worker_status: "active" },
    });
    expect(await read(worker, recovery(worker.id))).toEqual({ status: 200, body: [] });
    const counts = () => edge(worker, "task-counts", { run_type: "gpu", include_active: true });
    expect((await counts()).body.totals).toMatchObject({ queued_only: 1, eligible_queued: 1, active_only: 0 });
    const claimed = await claim();
    expect(claimed).toMatchObject({ status: 200, body: { task_id: parent, attempt: 1, project_id: ann.project } });

    // The process dies and starts again.
    expect((await counts()).body.totals).toMatchObject({ queued_only: 0, eligible_queued: 1, active_only: 1 });
    expect((await read(worker, recovery(worker.id))).body).toMatchObject([{ id: parent }]);
    // An orchestrator task without sub-tasks is handed back by this claim, and claimed anew.
    expect(await claim()).toMatchObject({ status: 200, body: { task_id: parent, attempt: 2 } });

    const children = [randomUUID(), randomUUID(), randomUUID()];
    for (const [index, id] of children.entries()) {
      const params = { orchestrator_task_id_ref: parent, segment_index: index };
      const task = { task_id: id, task_type: "travel_segment", project_id: ann.project, params, dependant_on: null };
      expect(await edge(worker, "create-task", task)).toMatchObject({ status: 200, body: { task_id: id } });
      expect(await read(worker, created(id), oneRow)).toMatchObject({ status: 200, body: { status: "Queued" } });
    }
    const found = await read(worker, childrenOf(parent));
    expect(found.body.map(({ id }: { id: string }) => id)).toEqual(children);
    const waiting = { task_id: parent, status: "In Progress", output_location: "3 segments queued" };
    expect(await edge(worker, "update-task-status", waiting)).toMatchObject({ status: 200 });

    const first = await claim();
    expect(first.body).toMatchObject({ task_id: children[0] });
    const reset = { task_id: children[0], status: "In Progress", reset_generation_started_at: true };
    expect((await edge(worker, "update-task-status", reset)).status).toBe(200);
    const small = { task_id: children[0], file_data: video, filename: "s.mp4" };
    const done = await edge(worker, "complete_task", small);
    expect(done).toMatchObject({ status: 200, body: { success: true } });
    expect(await edge(worker, "complete_task", small)).toEqual(done);

    expect((await claim()).body).toMatchObject({ task_id: children[1] });
    const file = { task_id: children[1], filename: "l.mp4", content_type: "video/mp4", generate_thumbnail_url: true };
    const upload = await edge(worker, "generate-upload-url", file);
    for (const address of [upload.body.upload_url, upload.body.thumbnail_upload_url]) {
      expect((await fetch(address, { method: "PUT", body: "bytes" })).status).toBe(200);
    }
    const { storage_path, thumbnail_storage_path } = upload.body;
    const large = { task_id: children[1], storage_path, thumbnail_storage_path };
    expect(await edge(worker, "complete_task", large)).toMatchObject({ status: 200, body: { success: true } });

    expect((await claim()).body).toMatchObject({ task_id: children[2] });
    const failed = { task_id: children[2], status: "Failed", output_location: "CUDA said no" };
    expect(await edge(worker, "update-task-status", failed)).toMatchObject({ body: { status: "Queued" } });
    expect(await beat(worker, api.keys.anonKey, { status_param: "crashed" })).toMatchObject({
      body: { success: true, heartbeat_updated: false },
    });
    expect(await api.queue.task(children[2]!)).toMatchObject({ status: "Queued", error_message: "CUDA said no" });
  });

  it("is told by its token who it is, and may also send its heartbeats with the token as key", async () => {
    const worker = await register();
    const plain = { ...worker, url: `${api.url}/functions/v1/old_worker` };
    expect(await beat(plain, worker.token)).toMatchObject({ status: 200, body: { success: true } });
    const half = { level: "INFO", message: "half a \ud83d", task_id: null };
    expect(await beat(worker, api.keys.anonKey, { logs_param: [half] })).toMatchObject({
      status: 200,
      body: { success: true, logs_inserted: 1 },
    });
    const task = await api.queue.addTask(pool, { project_id: ann.project });
    expect(await edge(plain, "claim-next-task", {})).toMatchObject({ status: 200, body: { task_id: task } });
    expect(await api.call("get-predecessor-output", worker.token, { task_id: task })).toMatchObject({ status: 200 });
  });

  it("can do nothing to another worker's task, and reads no row but its own and those of its own work", async () => {
    const [mine, other] = [await register(), await register()];
    for (const worker of [mine, other]) {
      await beat(worker, api.keys.anonKey);
    }
    const own = await api.queue.addTask(pool, { project_id: ann.project });
    expect((await edge(mine, "claim-next-task", { worker_id: mine.id })).body).toMatchObject({ task_id: own });
    const neighbour = await api.queue.addTask(pool, { project_id: ann.project });
    expect((await edge(other, "claim-next-task", { worker_id: other.id })).body).toMatchObject({ task_id: neighbour });
    const foreign = await api.queue.addTask(pool, {
      project_id: bob.project,
      params: { orchestrator_task_id_ref: own, secret: "of bob" },
    });
    const path = `${neighbour}/out.mp4`;
    await api.client(api.keys.serviceRoleKey).storage.from("videos").upload(path, Buffer.from("a video"));
    const before = await api.queue.rows("select * from tasks order by id");

    for (const task_id of [neighbour, foreign]) {
      for (const [name, body] of Object.entries({
        "complete-task": { task_id, file_data: video, filename: "x.mp4" },
        "generate-upload-url": { task_id, filename: "x.mp4", content_type: "video/mp4" },
        "update-task-status": { task_id, status: "Failed" },
        "mark-task-failed": { task_id, error_message: "no" },
      })) {
        expect({ name, ...(await edge(mine, name, body)) }).toMatchObject({ name, status: 403 });
      }
      expect(await read(mine, created(task_id))).toEqual({ status: 200, body: [] });
    }
    expect(await edge(mine, "complete-task", { task_id: neighbour, storage_path: path })).toMatchObject({
      status: 403,
    });
    expect((await edge(mine, "get-predecessor-output", { task_id: foreign })).status).toBe(404);
    const elsewhere = { task_type: "t2v", params: {}, project_id: bob.project };
    expect((await edge(mine, "create-task", elsewhere)).status).toBe(403);
    expect((await edge(mine, "claim-next-task", { worker_id: other.id })).status).toBe(401);
    expect(await read(mine, childrenOf(own))).toEqual({ status: 200, body: [] });
    expect(await read(mine, recovery(other.id))).toEqual({ status: 200, body: [] });
    expect(await read(mine, { select: "id", status: "eq.Complete" })).toMatchObject({ status: 400 });
    expect((await beat({ ...mine, id: other.id }, api.keys.anonKey)).status).toBe(401);
    expect(await api.queue.rows("select * from tasks order by id")).toEqual(before);
  });

  it("invariant 10: has a secret in its URL that sends its own heartbeats and opens nothing else", async () => {
    const worker = await register();
    await beat(worker, api.keys.publishableKey);
    const task = await api.queue.addTask(pool, { project_id: ann.project });
    expect((await edge(worker, "claim-next-task", { worker_id: worker.id })).body).toMatchObject({ task_id: task });
    for (const token of [worker.secret, api.keys.anonKey, "gpw_never_given"]) {
      for (const name of ["claim-next-task", "task-counts"]) {
        expect((await edge({ ...worker, token }, name, { worker_id: worker.id })).status).toBe(401);
      }
      expect((await read({ ...worker, token }, created(task))).status).toBe(401);
    }
    const asSecret = api.client(api.keys.anonKey, { "x-beat-secret": worker.secret });
    for (const [name, args] of Object.entries({
      claim_task: { p_worker_id: worker.id },
      worker_heartbeat: { p_worker_id: worker.id },
      worker_logs: { p_worker_id: worker.id, p_logs: [] },
      func_mark_task_failed: { p_task_id: task, p_error_message: "no" },
    })) {
      expect({ name, status: (await asSecret.rpc(name, args)).status }).toEqual({ name, status: 401 });
    }
    for (const [method, path] of [
      ["PATCH", `tasks?id=eq.${task}`],
      ["DELETE", `tasks?id=eq.${task}`],
      ["GET", "workers"],
      ["POST", "rpc/claim_task"],
    ] as const) {
      const call = { method, apikey: worker.token, bearer: worker.token, ...(method !== "GET" && { body: {} }) };
      expect({ method, ...(await send(`${worker.url}/rest/v1/${path}`, call)) }).toMatchObject({ method, status: 403 });
    }
    expect(
      (await beat({ ...worker, url: `${api.url}/functions/v1/old-worker/gpb_guessed` }, api.keys.anonKey)).status,
    ).toBe(401);
    expect(JSON.stringify(await api.queue.rows("select * from workers"))).not.toContain(worker.secret);

    await api.queue.call("remove_external_worker", { p_worker_id: worker.id, p_reason: "the test is over" });
    expect((await beat(worker, api.keys.anonKey)).status).toBe(401);
    expect((await edge(worker, "task-counts", {})).status).toBe(401);
    expect((await read(worker, created(task))).status).toBe(401);
  });
});

describe("a user's own machine with a personal access token, at the address for old workers", () => {
  const machine = () => ({ url: `${api.url}/functions/v1/old-worker`, token: ann.token });

  it("sees the task that it has made at once, and the sub-tasks of its own tasks, whoever claims them", async () => {
    const parent = await edge(machine(), "create-task", { task_type: "travel_orchestrator", params: {} });
    const ref = { orchestrator_task_id_ref: parent.body.task_id };
    const child = { task_id: randomUUID(), task_type: "travel_segment", params: ref, project_id: ann.project };
    expect((await edge(machine(), "create-task", child)).status).toBe(200);
    expect(await read(machine(), created(child.task_id), oneRow)).toMatchObject({
      status: 200,
      body: { status: "Queued", project_id: ann.project, task_type: "travel_segment" },
    });
    expect((await read(machine(), childrenOf(parent.body.task_id))).body).toMatchObject([{ id: child.task_id }]);
    const stranger = { ...machine(), token: bob.token };
    expect(await read(stranger, created(child.task_id))).toEqual({ status: 200, body: [] });
    expect(await read(stranger, childrenOf(parent.body.task_id))).toEqual({ status: 200, body: [] });
  });

  it("finds the task that it held before a crash by a read, by the counts and by a claim", async () => {
    const { body: made } = await edge(machine(), "create-task", { task_type: "t2v", params: {} });
    const claim = () => edge(machine(), "claim-next-task", { worker_id: "my-laptop", run_type: "gpu" });
    const first = await claim();
    expect(first.body).toMatchObject({ task_id: made.task_id });
    expect((await read(machine(), recovery("my-laptop"))).body).toMatchObject([{ id: made.task_id }]);
    const totals = async (more: object = {}) =>
      (await edge(machine(), "task-counts", { run_type: "gpu", include_active: true, ...more })).body.totals;
    expect(await totals()).toMatchObject({ queued_only: 0, eligible_queued: 1, active_only: 1 });
    expect(await totals({ worker_id: "my-laptop" })).toMatchObject({ eligible_queued: 1 });
    expect(await totals({ worker_id: "my-desktop" })).toMatchObject({ eligible_queued: 0 });
    expect(await claim()).toEqual(first);
  });
});
