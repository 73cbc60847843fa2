import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi } from "../../kit/api.ts";

const video = Buffer.from("a video").toString("base64");

describe("the edge functions", () => {
  let api: PeopleApi;
  let service: string;
  beforeAll(async () => {
    api = await openPeopleApi();
    service = api.keys.serviceRoleKey;
  });
  afterAll(() => api?.close());

  const id = "11111111-1111-4111-8111-111111111111";
  const good: [string, Record<string, unknown>][] = [
    ["claim-next-task", { worker_id: "w" }],
    ["complete-task", { task_id: id, storage_path: `${id}/x.mp4` }],
    ["create-task", { task_type: "t2v" }],
    ["delegate-task", { task_id: id }],
    ["generate-upload-url", { task_id: id, filename: "x.mp4", content_type: "video/mp4" }],
    ["get-completed-segments", { run_id: "r", project_id: id }],
    ["get-predecessor-output", { task_id: id }],
    ["mark-task-failed", { task_id: id, error_message: "e" }],
    ["service-request", { task_id: id, lease_token: id, service: "replicate" }],
    ["task-counts", {}],
    ["update-task-status", { task_id: id, status: "Failed" }],
  ];

  it.each(good)("refuse a caller without a known credential: %s", async (name, body) => {
    const forged = await api.signJwt({ role: "service_role" }, "y".repeat(40));
    for (const bearer of [null, api.keys.anonKey, forged, "gpp_never_given"]) {
      const answer = await api.call(name, bearer, body);
      expect(answer).toMatchObject({ status: 401, body: { error: "unauthorized", message: expect.any(String) } });
    }
    expect((await api.ask("GET", `/functions/v1/${name}`, service)).status).toBe(405);
    expect((await api.call(name, service, "not json")).status).toBe(400);
  });

  it.each<[string, string, object]>([
    ["claim-next-task", "worker_id", { worker_id: undefined }],
    ["claim-next-task", "worker_id", { worker_id: "x'; select 1; --" }],
    ["claim-next-task", "run_type", { run_type: "tpu" }],
    ["complete-task", "task_id", { task_id: "x" }],
    ["complete-task", "file_data", { storage_path: undefined }],
    ["complete-task", "file_data", { file_data: "not base64!", filename: "x.mp4" }],
    ["complete-task", "filename", { file_data: video, filename: "../x.mp4" }],
    ["create-task", "task_type", { task_type: "a b" }],
    ["create-task", "project_id", { project_id: "x" }],
    ["create-task", "id", { task_id: "x" }],
    ["delegate-task", "result_task_id", { task_id: id, result_task_id: 7 }],
    ["get-completed-segments", "project_id", { project_id: 1 }],
    ["get-predecessor-output", "task_id", { task_id: null }],
    ["mark-task-failed", "error_message", { error_message: "" }],
    ["service-request", "lease_token", { lease_token: null }],
    ["service-request", "service", { service: "" }],
    ["service-request", "request", { request: "p1" }],
    ["service-request", "mark", { request: { mark: "x".repeat(2001) } }],
    ["task-counts", "run_type", { run_type: "all" }],
    ["update-task-status", "status", { status: "Done" }],
    ["update-task-status", "reset_generation_started_at", { reset_generation_started_at: "yes" }],
  ])("name the wrong field: %s %s %j", async (name, field, more) => {
    const body = { ...good.find(([each]) => each === name)![1], ...more };
    expect(await api.call(name, service, body)).toMatchObject({
      status: 400,
      body: { error: "invalid_request", field },
    });
  });

  it.each(["a/b", "größe", "x".repeat(129), "a b", ""])(
    "register no worker whose claims they would refuse: %j",
    async (id) => {
      await api.queue.rows("insert into pools (name) values ('main') on conflict do nothing");
      const rule = expect.stringContaining("it must be 1 to 128 letters, digits or the signs _ . : -");
      const client = api.client(service);
      for (const answer of [
        await client.rpc("func_update_worker_heartbeat", { worker_id_param: id }),
        await client.rpc("func_worker_heartbeat_with_logs", { worker_id_param: id }),
        await client.rpc("func_claim_available_task", { worker_id_param: id }),
        await client.rpc("api_claim_task", { p_worker_id: id }),
        await client.from("workers").insert({ id, pool: "main", last_heartbeat: new Date().toISOString() }),
      ]) {
        expect(answer).toMatchObject({ status: 400, error: { code: "PT400", message: rule } });
      }
      expect(await api.queue.rows("select 1 from workers where id = $1", [id])).toEqual([]);
    },
  );

  it.each(["my.box:1", "x".repeat(128)])("let a worker claim that a heartbeat has registered: %s", async (id) => {
    await api.queue.rows("insert into pools (name) values ('main') on conflict do nothing");
    expect((await api.client(service).rpc("func_update_worker_heartbeat", { worker_id_param: id })).status).toBe(200);
    expect((await api.call("claim-next-task", service, { worker_id: id })).status).toBe(204);
  });

  it("let a worker claim that had another kind of id before its table was adopted", async () => {
    const pool = await api.queue.newPool();
    await api.queue.rows("insert into workers (id, pool, status) values ('gpu/old 1', $1, 'active')", [pool]);
    const claim = await api.call("claim-next-task", service, { worker_id: "gpu/old 1" });
    expect(claim.status).toBe(204);
    const beat = await api.client(service).rpc("func_update_worker_heartbeat", { worker_id_param: "gpu/old 1" });
    expect(beat.data).toMatchObject({ success: true });
  });

  it.each([
    ["spawning", "worker_not_ready", "has sent no heartbeat yet. Its first one makes it active. Claim again then"],
    ["terminated", "worker_ended", "has ended and gets no task any more. Start it under a new id"],
    ["error", "worker_ended", "has ended in error and gets no task any more. Start it under a new id"],
  ])("say what to do when a worker claims that is %s", async (status, error, message) => {
    const worker = await api.queue.newWorker(await api.queue.newPool(), { status });
    expect(await api.call("claim-next-task", service, { worker_id: worker })).toMatchObject({
      status: 409,
      body: { error, field: "worker_id", message: `worker ${worker} ${message}` },
    });
    const { error: refused } = await api.client(service).rpc("func_claim_available_task", { worker_id_param: worker });
    expect(refused).toMatchObject({ code: "PT409", message: `worker ${worker} gets no task: it is ${status}` });
  });

  it("refuse the claim of a worker without a row, and a task that does not exist", async () => {
    expect(await api.call("claim-next-task", service, { worker_id: "nobody" })).toMatchObject({
      status: 409,
      body: {
        error: "unknown_worker",
        field: "worker_id",
        message: expect.stringContaining("It registers with its first heartbeat under the service key"),
      },
    });
    expect(await api.call("get-predecessor-output", service, { task_id: randomUUID() })).toMatchObject({
      status: 404,
      body: { error: "not_found" },
    });
    const unclaimed = await api.queue.addTask(await api.queue.newPool());
    expect((await api.call("mark-task-failed", service, { task_id: unclaimed, error_message: "x" })).status).toBe(409);
  });
});
