import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi } from "../../kit/api.ts";

const odd = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("\0", "\ud83c", "\udfac\0", "\u202emirrored", "🎬"),
);
const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
const ID = "11111111-1111-4111-8111-111111111111";

describe("invariant 16: the edge functions, given text that Postgres does not store,", () => {
  let api: PeopleApi;
  let service: string;
  beforeAll(async () => {
    api = await openPeopleApi();
    service = api.keys.serviceRoleKey;
  });
  afterAll(() => api?.close());

  const lease = async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    await api.queue.addTask(pool);
    return await api.queue.lease(worker);
  };

  it.each([
    ["mark-task-failed", (id: string, text: string) => ({ task_id: id, error_message: text })],
    ["update-task-status", (id: string, text: string) => ({ task_id: id, status: "Failed", output_location: text })],
  ])("end a failed task: %s", async (name, bodyOf) => {
    const { task_id: id } = await lease();
    expect(await api.call(name, service, bodyOf(id, "lost \0 and \ud83c"))).toMatchObject({ status: 200 });
    expect(await api.queue.one("select error from task_attempts where task_id = $1", [id])).toEqual({
      error: "lost \ufffd and \ufffd",
    });
  });

  it.each([
    ["create-task", "/functions/v1/create-task"],
    ["tasks", "/api/tasks"],
  ])("create a task with the replacement character in its place: %s", async (_name, path) => {
    const body = { task_type: "odd", params: { "pro\0mpt": "\ud83c 🎬" } };
    const answer = await api.ask("POST", path, service, body);
    expect(answer.status).toBeLessThan(300);
    const { id, task_id: created = id } = answer.body as { id: string; task_id?: string };
    expect(await api.queue.one("select params from tasks where id = $1", [created])).toEqual({
      params: { "pro\ufffdmpt": "\ufffd 🎬" },
    });
  });

  it.each(["/functions/v1/create-task", "/api/tasks"])("refuse JSON that is nested too deeply: %s", async (path) => {
    const answer = await api.ask("POST", path, service, `{"task_type": "deep", "params": {"a": ${deep}}}`);
    expect(answer.status).toBe(400);
    const refusal =
      (answer.body as { error: { field?: string } }).error.field ?? (answer.body as { field: string }).field;
    expect(refusal).toBe("params");
  });

  it.each(["/functions/v1/create-task", "/api/tasks"])(
    "refuse a number that they could only forget: %s",
    async (path) => {
      for (const number of ["1e400", "-1e400", '[{"a": 1e999}]']) {
        const answer = await api.ask("POST", path, service, `{"task_type": "t", "params": {"seed": ${number}}}`);
        const { error, ...rest } = answer.body as { error: object | string; field?: string };
        expect([answer.status, typeof error === "string" ? rest : error]).toMatchObject([400, { field: "params" }]);
      }
    },
  );

  it("refuse JSON that is nested too deeply in any field of any function", async () => {
    const fields = Object.entries({
      "claim-next-task": ["worker_id"],
      "complete-task": ["task_id", "storage_path", "file_data", "thumbnail_storage_path"],
      "create-task": ["task_id", "task_type", "params", "project_id", "dependant_on"],
      "delegate-task": ["task_id", "sub_tasks", "result_task_id"],
      "generate-upload-url": ["task_id", "filename", "content_type"],
      "get-completed-segments": ["run_id", "project_id"],
      "get-predecessor-output": ["task_id"],
      "mark-task-failed": ["task_id", "error_message"],
      "service-request": ["task_id", "lease_token", "service", "request"],
      "task-counts": ["run_type"],
      "update-task-status": ["task_id", "status", "output_location"],
    });
    for (const [name, names] of fields) {
      for (const field of names) {
        const rest = names.filter((each) => each !== field).map((each) => `"${each}": "${ID}"`);
        const answer = await api.ask(
          "POST",
          `/functions/v1/${name}`,
          service,
          `{${[...rest, `"${field}": ${deep}`].join()}}`,
        );
        const refusal = { name, field, isRefused: answer.status >= 400 && answer.status < 500 };
        expect({ ...refusal, body: answer.body }).toMatchObject({ name, field, isRefused: true });
      }
      const whole = await api.ask("POST", `/functions/v1/${name}`, service, deep);
      expect([name, whole.status]).toEqual([name, 400]);
    }
  });

  it("answer by what was asked, or by a refusal that names the field, whatever the text", async () => {
    const requests: ((text: string) => [string, Record<string, unknown>])[] = [
      (text) => ["claim-next-task", { worker_id: text }],
      (text) => ["create-task", { task_type: text }],
      (text) => ["create-task", { task_type: "t", project_id: text }],
      (text) => ["create-task", { task_type: "t", dependant_on: text }],
      (text) => ["create-task", { task_type: "t", params: { [text]: [text] } }],
      (text) => ["generate-upload-url", { task_id: ID, filename: text, content_type: "video/mp4" }],
      (text) => ["get-completed-segments", { run_id: text }],
      (text) => ["get-completed-segments", { run_id: text, project_id: ID }],
      (text) => ["mark-task-failed", { task_id: ID, error_message: text }],
      (text) => ["service-request", { task_id: ID, lease_token: ID, service: "s", request: { mark: text } }],
      (text) => ["complete-task", { task_id: ID, storage_path: text }],
      (text) => ["complete-task", { task_id: ID, storage_path: "x", thumbnail_storage_path: text }],
    ];
    await fc.assert(
      fc.asyncProperty(odd, fc.constantFrom(...requests), async (text, request) => {
        const [name, body] = request(text);
        const { status, body: answer } = await api.call(name, service, body);
        expect(status, `${name} ${JSON.stringify(body)} ${JSON.stringify(answer)}`).toBeLessThan(500);
        const named = status !== 400 || typeof (answer as { field?: unknown }).field === "string";
        expect(named, `${name} ${JSON.stringify(body)} ${JSON.stringify(answer)}`).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});
