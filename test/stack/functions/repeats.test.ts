import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";

const video = Buffer.from("a video").toString("base64");

describe("a request that a worker repeats because its answer was lost", () => {
  let api: PeopleApi;
  let ann: Person;
  let pool: string;
  let worker: string;
  let token: string;
  beforeAll(async () => {
    api = await openPeopleApi();
  });
  beforeEach(async () => {
    ann = await api.newPerson();
    pool = await api.queue.newPool();
    worker = await api.queue.newWorker(pool);
    token = `gpw_${randomBytes(32).toString("base64url")}`;
    await api.giveToken(worker, token);
  });
  afterAll(() => api?.close());

  /** Each kind of caller with a task that it has claimed. */
  const CALLERS = ["service key", "worker's token", "personal access token"] as const;
  const claimed = async (kind: (typeof CALLERS)[number]) => {
    const bearer = kind === "service key" ? api.keys.serviceRoleKey : kind === "worker's token" ? token : ann.token;
    await api.queue.addTask(pool, { project_id: ann.project });
    const claim = () => api.call("claim-next-task", bearer, { worker_id: worker });
    const first = await claim();
    expect(first.status).toBe(200);
    expect(await claim()).toEqual(first);
    const id = first.body.task_id as string;
    const twice = async (name: string, body: object) => {
      const answer = await api.call(name, bearer, { task_id: id, ...body });
      expect({ name, answer }).toMatchObject({ name, answer: { status: 200 } });
      expect(await api.call(name, bearer, { task_id: id, ...body })).toEqual(answer);
      return answer.body;
    };
    return { id, bearer, claim, twice, lease: first.body.lease_token as string };
  };
  const filesOf = async (id: string) => {
    const { data } = await api.client(api.keys.serviceRoleKey).storage.from("videos").list(id);
    return data!.map(({ name }) => name).toSorted();
  };

  it.each(CALLERS)("gets the same answer for a completion with the file itself: %s", async (kind) => {
    const { id, bearer, twice } = await claimed(kind);
    const frame = { first_frame_data: video, first_frame_filename: "thumb.jpg" };
    const body = await twice("complete-task", { file_data: video, filename: "out.mp4", ...frame });
    expect(body).toMatchObject({ success: true, thumbnail_url: expect.stringContaining(`${id}/thumb_a1.jpg`) });
    // Another file does not replace that of a completed task.
    const other = { task_id: id, file_data: Buffer.from("another").toString("base64"), filename: "out.mp4" };
    expect((await api.call("complete-task", bearer, other)).body).toEqual(body);
    expect(await (await fetch(body.public_url)).text()).toBe("a video");
    expect(await filesOf(id)).toEqual(["out_a1.mp4", "thumb_a1.jpg"]);
  });

  it.each(CALLERS)("gets the same answer for a completion with an uploaded file: %s", async (kind) => {
    const byPath = await claimed(kind);
    const upload = await api.call("generate-upload-url", byPath.bearer, {
      task_id: byPath.id,
      filename: "out.mp4",
      content_type: "video/mp4",
    });
    await fetch(upload.body.upload_url, { method: "PUT", body: "a video" });
    const { public_url: address } = await byPath.twice("complete-task", { storage_path: upload.body.storage_path });
    await byPath.twice("complete-task", { output_location: address });
    await byPath.twice("update-task-status", { status: "Complete", output_location: address });
    const late = { task_id: byPath.id, status: "Failed", output_location: "no" };
    expect(await api.call("update-task-status", byPath.bearer, late)).toMatchObject({ status: 409 });
  });

  it.each(CALLERS)("gets the same answer for a failure and for a task that it gave back: %s", async (kind) => {
    const { id, twice, claim, lease } = await claimed(kind);
    await twice("update-task-status", { status: "In Progress", output_location: "half" });
    await twice("mark-task-failed", { error_message: "CUDA said no" });
    expect(await api.queue.task(id)).toMatchObject({ status: "Queued", attempts: 1 });
    await claim();
    // The attempt may already be another one, as here, where the lease's token says which is meant.
    expect(await twice("mark-task-failed", { error_message: "CUDA said no", lease_token: lease })).toMatchObject({
      status: "Queued",
    });
    expect(await twice("update-task-status", { status: "Queued" })).toMatchObject({ status: "Queued" });
    expect(await api.queue.task(id)).toMatchObject({ status: "Queued", attempts: 1 });
    await claim();
    await twice("update-task-status", { status: "Failed", output_location: "CUDA said no" });
    await claim();
    expect(await twice("update-task-status", { status: "Failed", output_location: "CUDA said no" })).toMatchObject({
      status: "Failed",
    });
    expect(await api.queue.task(id)).toMatchObject({ status: "Failed", attempts: 3 });
  });

  it("gets the same outcome from the functions of the database, with the worker's own token", async () => {
    const own = api.asWorker(token);
    await api.queue.addTasks(pool, 2, { project_id: ann.project, task_type: "without_file" });
    const claim = async () => (await own.rpc("func_claim_available_task", { worker_id_param: worker })).data[0].id;
    const done = { p_task_id: await claim() };
    expect((await own.rpc("func_mark_task_complete", done)).data).toMatchObject({ outcome: "completed" });
    expect((await own.rpc("func_mark_task_complete", done)).data).toMatchObject({ outcome: "already_completed" });
    const failed = { p_task_id: await claim(), p_error_message: "no prompt" };
    const requeued = { success: true, outcome: "requeued", status: "Queued" };
    expect((await own.rpc("func_mark_task_failed", failed)).data).toEqual(requeued);
    expect((await own.rpc("func_mark_task_failed", failed)).data).toEqual(requeued);
    // Also while the next worker holds the task.
    const next = await api.queue.newWorker(pool);
    expect((await api.queue.lease(next)).task_id).toBe(failed.p_task_id);
    expect((await own.rpc("func_mark_task_failed", failed)).data).toEqual(requeued);
    expect(await api.queue.task(failed.p_task_id)).toMatchObject({ status: "In Progress", attempts: 2 });
  });

  it("never stores the file of an ended attempt under the name of the next one", async () => {
    const service = api.keys.serviceRoleKey;
    const { id, claim, lease } = await claimed("service key");
    await api.call("update-task-status", service, { task_id: id, status: "Queued" });
    expect((await claim()).body).toMatchObject({ attempt: 2 });
    const zombie = { task_id: id, file_data: video, filename: "out.mp4", lease_token: lease };
    expect(await api.call("complete-task", service, zombie)).toMatchObject({
      status: 403,
      body: { message: "lease ended: released" },
    });
    expect(await filesOf(id)).toEqual([]);
  });

  it.each(CALLERS)("a stored file of another task is refused, and the message says whose it is: %s", async (kind) => {
    const { id, bearer } = await claimed(kind);
    const other = await api.queue.addTask(pool, { project_id: ann.project });
    const files = api.client(api.keys.serviceRoleKey).storage.from("videos");
    for (const path of [`${other}/out.mp4`, `${ann.userId}/out.mp4`, `loose-${id}.mp4`]) {
      expect((await files.upload(path, Buffer.from("a video"))).error).toBeNull();
    }
    for (const [path, place] of [
      [`${other}/out.mp4`, `the folder of task ${other}`],
      [`${ann.userId}/out.mp4`, `the folder ${ann.userId}`],
      [`loose-${id}.mp4`, "no folder"],
    ]) {
      const named = { task_id: id, storage_path: path };
      const message =
        `task ${id} cannot complete: object ${path} is not a file of this task: it lies in ${place}. ` +
        `A file of this task lies in the folder ${id}, or in the folder of one of its sub-tasks.`;
      expect(await api.call("complete-task", bearer, named)).toMatchObject({ status: 409, body: { message } });
    }
    const absent = await api.call("complete-task", bearer, { task_id: id, storage_path: `${id}/absent.mp4` });
    expect(absent.body.message).toContain(`object ${id}/absent.mp4 is not in storage`);
  });
});
