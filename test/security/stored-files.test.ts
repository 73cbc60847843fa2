import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { completeTask } from "../../supabase/functions/_shared/complete-task.ts";
import type { FunctionContext } from "../../supabase/functions/_shared/function-context.ts";
import { createFunctionContext } from "../../src/dev/gateway/functions-host.ts";
import { openPeopleApi, type PeopleApi } from "../kit/api.ts";

function base64(text: string) {
  return Buffer.from(text).toString("base64");
}

interface Worker {
  readonly id: string;
  readonly token: string;
}

let api: PeopleApi;
let pool: string;
beforeAll(async () => {
  api = await openPeopleApi();
});
beforeEach(async () => {
  pool = await api.queue.newPool();
});
afterAll(() => api?.close());

async function newWorker(): Promise<Worker> {
  const worker = { id: await api.queue.newWorker(pool), token: `gpw_${randomBytes(32).toString("base64url")}` };
  await api.giveToken(worker.id, worker.token);
  return worker;
}
async function claim(worker: Worker) {
  return (await api.call("claim-next-task", worker.token, { worker_id: worker.id })).body as {
    task_id: string;
    lease_token: string;
    attempt: number;
  };
}
async function sign(worker: Worker, id: string, filename: string, more: object = {}) {
  return await api.call("generate-upload-url", worker.token, {
    task_id: id,
    filename,
    content_type: "video/mp4",
    ...more,
  });
}
async function put(url: string, text: string) {
  return (await fetch(url, { method: "PUT", body: text })).status;
}
async function read(path: string) {
  return await (await fetch(`${api.url}/storage/v1/object/public/videos/${path}`)).text();
}
async function filesOf(id: string) {
  const { data } = await api.client(api.keys.serviceRoleKey).storage.from("videos").list(id);
  return data!.map(({ name }) => name);
}

describe("a worker that holds a task, or held it", () => {
  it("gets no name that a later attempt could get, with a lease's token or without", async () => {
    const id = await api.queue.addTask(pool);
    const worker = await newWorker();
    const lease = { lease_token: (await claim(worker)).lease_token };
    for (const filename of ["out_a2.mp4", "out_a1_a2.mp4", "task_a2_thumb.mp4", ".a_a2", "out.x_a2", "_a2.mp4"]) {
      for (const more of [{}, lease]) {
        const { storage_path: path } = (await sign(worker, id, filename, more)).body;
        const name = String(path).slice(id.length + 1);
        const stem = name.lastIndexOf(".") > 0 ? name.slice(0, name.lastIndexOf(".")) : name;
        expect([filename, /.*_a(\d+)(?:[_.-].*)?$/.exec(stem)?.[1]]).toEqual([filename, "1"]);
      }
    }
    const own = `task_${id}_a1_thumb.jpg`;
    expect((await sign(worker, id, own, lease)).body.storage_path).toBe(`${id}/${own}`);
  });

  it("replaces no file by an address that it kept, nor by a new one", async () => {
    const id = await api.queue.addTask(pool);
    const worker = await newWorker();
    const lease = await claim(worker);
    const [first, second] = [await sign(worker, id, "out.mp4", lease), await sign(worker, id, "out.mp4", lease)];
    expect(await put(first.body.upload_url, "the result")).toBe(200);
    const third = await sign(worker, id, "out.mp4", lease);
    expect(third.body.storage_path).not.toBe(first.body.storage_path);
    const done = await api.call("complete-task", worker.token, {
      ...lease,
      storage_path: first.body.storage_path,
    });
    expect(done.status).toBe(200);
    for (const { body } of [first, second]) {
      expect(await put(body.upload_url, "another")).toBe(409);
    }
    await put(third.body.upload_url, "another");
    expect(await read(first.body.storage_path)).toBe("the result");
    expect(await sign(worker, id, "out.mp4", lease)).toMatchObject({ status: 403 });
  });

  it("may upload again after a crash, under another name, and completes with that", async () => {
    const id = await api.queue.addTask(pool);
    const worker = await newWorker();
    const lease = await claim(worker);
    await put((await sign(worker, id, "out.mp4", lease)).body.upload_url, "of the first run");
    const { storage_path: path, upload_url: url } = (await sign(worker, id, "out.mp4", lease)).body;
    expect(await put(url, "of the second run")).toBe(200);
    const done = await api.call("complete-task", worker.token, { ...lease, storage_path: path });
    expect(await (await fetch(done.body.public_url)).text()).toBe("of the second run");
  });

  it("stores no more files and no more bytes than a lease may, by addresses that it kept either", async () => {
    await api.queue.rows("update limits set lease_files = 3, lease_file_bytes = 1000");
    const id = await api.queue.addTask(pool);
    const worker = await newWorker();
    const lease = await claim(worker);
    const kept = [];
    for (const name of ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]) {
      kept.push(String((await sign(worker, id, name, lease)).body.upload_url));
    }
    const refused = async (status: number, limit: string, answer: { status: number; text: () => Promise<string> }) =>
      expect([answer.status, await answer.text()]).toEqual([status, expect.stringContaining(`limit ${limit}`)]);
    const send = (url: string, size: number) => fetch(url, { method: "PUT", body: "x".repeat(size) });
    expect((await send(kept[0]!, 400)).status).toBe(200);
    await refused(413, "lease_file_bytes", await send(kept[1]!, 700));
    expect((await send(kept[1]!, 400)).status).toBe(200);
    const data = { ...lease, filename: "e.mp4", file_data: base64("y".repeat(500)) };
    expect(await api.call("complete-task", worker.token, data)).toMatchObject({
      status: 413,
      body: { message: expect.stringContaining("limit lease_file_bytes") as string },
    });
    expect((await send(kept[2]!, 10)).status).toBe(200);
    await refused(429, "lease_files", await send(kept[3]!, 10));
    for (const more of [{}, lease]) {
      expect(await sign(worker, id, "f.mp4", more)).toMatchObject({
        status: 429,
        body: { message: expect.stringContaining("limit lease_files") as string },
      });
    }
    // The next attempt has room of its own, as other tasks have.
    await api.call("update-task-status", worker.token, { task_id: id, status: "Queued" });
    const next = await claim(await newWorker());
    expect(next.task_id).toBe(id);
    await api.queue.rows("update limits set lease_files = default, lease_file_bytes = default");
    const done = await api.call("complete-task", worker.token, { ...lease, file_data: base64("z"), filename: "z.mp4" });
    expect(done.status).toBe(403);
    expect((await filesOf(id)).length).toBe(3);
  });

  it("writes nothing once its lease has ended: the later attempt's files stay as they are", async () => {
    const id = await api.queue.addTask(pool);
    const [stale, next] = [await newWorker(), await newWorker()];
    const lost = await claim(stale);
    const kept = (await sign(stale, id, "out_a2.mp4", lost)).body;
    await api.call("update-task-status", stale.token, { task_id: id, status: "Queued" });
    const held = await claim(next);
    expect(held).toMatchObject({ task_id: id, attempt: 2 });
    const done = await api.call("complete-task", next.token, {
      ...held,
      file_data: base64("the result"),
      filename: "out.mp4",
    });
    expect(done.status).toBe(200);
    const before = await filesOf(id);
    for (const more of [{}, { lease_token: lost.lease_token }]) {
      for (const filename of ["out.mp4", "out_a2.mp4"]) {
        const late = { task_id: id, file_data: base64("another"), filename, ...more };
        expect(await api.call("complete-task", stale.token, late)).toMatchObject({ status: 403 });
        expect(await sign(stale, id, filename, more)).toMatchObject({ status: 403 });
      }
    }
    expect(await filesOf(id)).toEqual(before);
    expect(await put(kept.upload_url, "another")).toBe(200);
    expect(await (await fetch(done.body.public_url)).text()).toBe("the result");
  });

  it("replaces no result by a second completion that was under way with it", async () => {
    const id = await api.queue.addTask(pool);
    const worker = await newWorker();
    const lease = await claim(worker);
    const body = (text: string) => ({ ...lease, file_data: base64(text), filename: "out.mp4" });
    const context = createFunctionContext({ url: api.url, publicUrl: api.url }, api.keys, "videos");
    let completed = "";
    // The other completion comes between the check of the lease and the upload.
    const late: FunctionContext = {
      ...context,
      asService: () => {
        const client = context.asService();
        const from = (bucket: string) => {
          const files = client.storage.from(bucket);
          const upload: typeof files.upload = async (...args) => {
            completed ||= (await api.call("complete-task", worker.token, body("the result"))).body.public_url;
            return files.upload(...args);
          };
          return {
            upload,
            createSignedUploadUrl: files.createSignedUploadUrl.bind(files),
            getPublicUrl: files.getPublicUrl.bind(files),
          };
        };
        return { rpc: client.rpc.bind(client), storage: { from } };
      },
    };
    const request = new Request(`${api.url}/functions/v1/complete-task`, {
      method: "POST",
      headers: { authorization: `Bearer ${worker.token}` },
      body: JSON.stringify(body("another")),
    });
    const answer = (await (await completeTask(request, late)).json()) as { public_url: string };
    expect(completed).toContain(`${id}/out_a1.mp4`);
    expect(answer.public_url).toBe(completed);
    expect(await (await fetch(completed)).text()).toBe("the result");
  });
});
