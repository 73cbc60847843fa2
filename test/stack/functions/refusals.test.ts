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
    ["generate-upload-url", { task_id: id, filename: "x.mp4", content_type: "video/mp4" }],
    ["get-completed-segments", { run_id: "r", project_id: id }],
    ["get-predecessor-output", { task_id: id }],
    ["mark-task-failed", { task_id: id, error_message: "e" }],
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
    ["get-completed-segments", "project_id", { project_id: 1 }],
    ["get-predecessor-output", "task_id", { task_id: null }],
    ["mark-task-failed", "error_message", { error_message: "" }],
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

  it("refuse the claim of a worker without a row, and a task that does not exist", async () => {
    expect(await api.call("claim-next-task", service, { worker_id: "nobody" })).toMatchObject({
      status: 409,
      body: { error: "unknown_worker", field: "worker_id" },
    });
    expect(await api.call("get-predecessor-output", service, { task_id: randomUUID() })).toMatchObject({
      status: 404,
      body: { error: "not_found" },
    });
    const unclaimed = await api.queue.addTask(await api.queue.newPool());
    expect((await api.call("mark-task-failed", service, { task_id: unclaimed, error_message: "x" })).status).toBe(409);
  });
});
