import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi } from "../kit/api.ts";

interface Lease {
  readonly task_id: string;
  readonly lease_token: string;
}

let api: PeopleApi;
let pool: string;
let worker: string;
let token: string;
beforeAll(async () => {
  api = await openPeopleApi();
});
beforeEach(async () => {
  pool = await api.queue.newPool();
  worker = await api.queue.newWorker(pool);
  token = `gpw_${randomBytes(32).toString("base64url")}`;
  await api.giveToken(worker, token);
});
afterAll(() => api?.close());

function service() {
  return api.client(api.keys.serviceRoleKey);
}
function address(path: string, project = api.url) {
  return `${project}/storage/v1/object/public/videos/${path}`;
}
async function claimed(): Promise<Lease> {
  await api.queue.addTask(pool);
  return await api.queue.lease(worker);
}
async function store(path: string) {
  const { error } = await service().storage.from("videos").upload(path, Buffer.from("a video"));
  expect(error).toBeNull();
}
async function outputOf(id: string) {
  const { status, output_location: location, result_data: result } = await api.queue.task(id);
  return { status, location, result: result as Record<string, unknown> };
}

/** What no result may name: other schemes, other hosts, other people's files, and texts that look like one's own file. */
function foreign(id: string): string[] {
  return [
    `javascript:alert(1)//storage/v1/object/public/videos/${id}/out_a1.mp4`,
    `file:///etc/passwd#/storage/v1/object/public/videos/${id}/out_a1.mp4`,
    "file:///etc/passwd",
    "data:text/html,x",
    "https://elsewhere.example/v.mp4",
    "http://169.254.169.254/latest/meta-data",
    `https://user@elsewhere.example/storage/v1/object/public/videos/${id}/out_a1.mp4`,
    `https:\\\\elsewhere.example/storage/v1/object/public/videos/${id}/out_a1.mp4`,
    ` ${address(`${id}/out_a1.mp4`)}`,
    `//elsewhere.example/storage/v1/object/public/videos/${id}/out_a1.mp4`,
    address("11111111-1111-4111-8111-111111111111/out_a1.mp4"),
    address(`${id}/../11111111-1111-4111-8111-111111111111/out_a1.mp4`),
    address(`${id}/%2e%2e/11111111-1111-4111-8111-111111111111/out_a1.mp4`),
    "/storage/v1/object/public/videos/x",
    "../x",
  ];
}

describe("the addresses in a result", () => {
  it("are those of the task's own files, by every function and in every field", async () => {
    const { task_id: id, lease_token: lease } = await claimed();
    await store(`${id}/out_a1.mp4`);
    const own = api.asWorker(token);
    const finish = { p_task_id: id, p_lease_token: lease, p_storage_path: `${id}/out_a1.mp4` };
    const good = address(`${id}/out_a1.mp4`);
    for (const bad of foreign(id)) {
      const answers = await Promise.all([
        own.rpc("finish_task", { ...finish, p_output_location: good, p_result: { video_url: bad } }),
        own.rpc("finish_task", { ...finish, p_output_location: good, p_result: { thumbnail_url: bad } }),
        own.rpc("finish_task", { ...finish, p_output_location: good, p_result: { image_urls: [good, bad] } }),
        own.rpc("api_finish_task", { ...finish, p_output_location: good, p_result: { preview_url: bad } }),
        own.rpc("func_mark_task_complete", { p_task_id: id, p_result: { video_url: bad } }),
        own.rpc("func_mark_task_complete", { p_task_id: id, p_result: { output_location: good, image_url: bad } }),
      ]);
      expect([bad, answers.map(({ error }) => error?.code)]).toEqual([bad, answers.map(() => "PT409")]);
      const named = await api.call("complete-task", token, { task_id: id, output_location: bad });
      expect([bad, [400, 409].includes(named.status)]).toEqual([bad, true]);
    }
    expect(await outputOf(id)).toMatchObject({ status: "In Progress", location: null });
  });

  it("are built by the database: the host that a worker writes is not kept", async () => {
    for (const host of ["https://elsewhere.example", "http://elsewhere.example:81/proxy"]) {
      const { task_id: id, lease_token: lease } = await claimed();
      await store(`${id}/out_a1.mp4`);
      const bad = address(`${id}/out_a1.mp4`, host);
      const { error } = await api.asWorker(token).rpc("finish_task", {
        p_task_id: id,
        p_lease_token: lease,
        p_storage_path: `${id}/out_a1.mp4`,
        p_output_location: bad,
        p_result: { video_url: bad, image_urls: [bad], thumbnail_url: address(`${id}/t_a1.jpg`, host) },
      });
      expect(error).toBeNull();
      const good = address(`${id}/out_a1.mp4`);
      expect(await outputOf(id)).toMatchObject({
        status: "Complete",
        location: good,
        result: { video_url: good, image_urls: [good], thumbnail_url: address(`${id}/t_a1.jpg`) },
      });
    }
  });

  it("come with the size and the tag of the file, as storage has them, whatever the worker says", async () => {
    const { task_id: id } = await claimed();
    await store(`${id}/out_a1.mp4`);
    const done = { task_id: id, storage_path: `${id}/out_a1.mp4`, result_data: { output_file: { etag: "mine" } } };
    expect((await api.call("complete-task", token, done)).status).toBe(200);
    const stored = await api.queue.one<{ size: number; tag: string }>(
      "select (metadata ->> 'size')::int as size, metadata ->> 'eTag' as tag from storage.objects where name = $1",
      [done.storage_path],
    );
    expect((await outputOf(id)).result["output_file"]).toEqual({
      bucket: "videos",
      name: done.storage_path,
      size_bytes: stored.size,
      etag: stored.tag,
    });
  });

  it("with the service key may be https elsewhere, marked as such, and nothing else", async () => {
    const elsewhere = "https://elsewhere.example/v.mp4?x=1";
    for (const complete of [
      (id: string, url: string) =>
        service().rpc("func_mark_task_complete", { p_task_id: id, p_result: { video_url: url } }),
      (id: string, url: string) =>
        service().from("tasks").update({ status: "Complete", output_location: url }).eq("id", id),
    ]) {
      const { task_id: id } = await claimed();
      for (const bad of foreign(id).filter((each) => !each.startsWith("https://elsewhere.example/v"))) {
        expect([bad, (await complete(id, bad)).error?.code]).toEqual([bad, "PT409"]);
      }
      expect((await complete(id, elsewhere)).error).toBeNull();
      expect(await outputOf(id)).toMatchObject({
        status: "Complete",
        location: elsewhere,
        result: { output_file: { external: true } },
      });
    }
  });
});

describe("a task whose type makes a file", () => {
  it("is not completed without one by a worker with its token", async () => {
    const { task_id: id, lease_token: lease } = await claimed();
    const own = api.asWorker(token);
    const nothing = { p_task_id: id, p_lease_token: lease, p_storage_path: null, p_output_location: null };
    for (const call of [
      own.rpc("finish_task", { ...nothing, p_result: { seconds: 1 } }),
      own.rpc("finish_and_claim", { ...nothing, p_result: {} }),
      own.rpc("api_finish_task", { ...nothing, p_result: {} }),
      own.rpc("func_mark_task_complete", { p_task_id: id, p_result: {} }),
      own.rpc("func_mark_task_complete", { p_task_id: id }),
    ]) {
      expect((await call).error).toMatchObject({ code: "PT409", message: `task ${id} cannot complete without a file` });
    }
    expect(await outputOf(id)).toMatchObject({ status: "In Progress" });
  });

  it("is not completed with the file of another attempt", async () => {
    const { task_id: id } = await claimed();
    await store(`${id}/out_a1.mp4`);
    await api.call("update-task-status", token, { task_id: id, status: "Queued" });
    expect(await api.queue.lease(worker)).toMatchObject({ task_id: id, attempt: 2 });
    const answer = await api.call("complete-task", token, { task_id: id, storage_path: `${id}/out_a1.mp4` });
    expect(answer).toMatchObject({ status: 409, body: { message: expect.stringContaining("attempt 2") } });
  });
});
