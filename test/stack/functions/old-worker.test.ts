import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";

const video = Buffer.from("a video").toString("base64");
/** A file name of wgp.py: the time, the seed, the prompt. */
const WGP_FILENAME = "2025-09-01-10h05m22s_seed42_A cat, walking… through “a garden”.mp4";
const STORED_NAME = "2025-09-01-10h05m22s_seed42_A_cat__walking__through__a_garden__a1.mp4";

let api: PeopleApi;
let ann: Person;
let pool: string;
let worker: string;
beforeAll(async () => {
  api = await openPeopleApi();
});
beforeEach(async () => {
  ann = await api.newPerson();
  pool = await api.queue.newPool();
  worker = await api.queue.newWorker(pool);
});
afterAll(() => api?.close());

function publicUrl(path: string) {
  return `${api.url}/storage/v1/object/public/videos/${path}`;
}
async function claimed() {
  await api.queue.addTask(pool, { project_id: ann.project });
  return (await api.queue.lease(worker)).task_id;
}

describe.each([
  ["legacy", "serviceRoleKey"],
  ["opaque", "secretKey"],
] as const)("a worker of the incumbent with the project's %s service key", (_kind, keyName) => {
  let service: string;
  beforeAll(() => {
    service = api.keys[keyName];
  });

  it("works on its tasks without lease tokens, under both spellings, with file names that hold blanks", async () => {
    const task = await api.queue.addTask(pool, { project_id: ann.project });
    const counts = await api.call("task_counts", service, { run_type: "gpu", include_active: true });
    expect(counts.body.totals.queued_only).toBeGreaterThan(0);
    const claim = await api.call("claim-next-task", service, { worker_id: worker, run_type: "gpu" });
    expect(claim).toMatchObject({
      status: 200,
      body: { task_id: task, task_type: "generate_video", params: {}, project_id: ann.project, attempt: 1 },
    });
    const beat = await api.client(service).rpc("func_worker_heartbeat_with_logs", { worker_id_param: worker });
    expect(beat.data).toMatchObject({ success: true, worker_status: "active" });
    const reset = { task_id: task, status: "In Progress", reset_generation_started_at: true };
    expect(await api.call("update_task_status", service, reset)).toMatchObject({
      status: 200,
      body: { success: true, task_id: task, status: "In Progress" },
    });
    const upload = await api.call("generate_upload_url", service, {
      task_id: task,
      filename: WGP_FILENAME,
      content_type: "video/mp4",
      generate_thumbnail_url: true,
    });
    const thumbnail = `thumb_${STORED_NAME.replace("_a1.mp4", "_a1.jpg")}`;
    expect(upload.body).toMatchObject({
      storage_path: `${task}/${STORED_NAME}`,
      thumbnail_storage_path: `${task}/${thumbnail}`,
    });
    const early = { task_id: task, storage_path: upload.body.storage_path };
    expect(await api.call("complete_task", service, early)).toMatchObject({ status: 409, body: { error: "conflict" } });
    expect((await api.queue.task(task)).status).toBe("In Progress");
    for (const url of [upload.body.upload_url, upload.body.thumbnail_upload_url]) {
      expect((await fetch(url, { method: "PUT", body: "bytes" })).status).toBe(200);
    }
    const done = { ...early, thumbnail_storage_path: upload.body.thumbnail_storage_path };
    const completed = await api.call("complete_task", service, done);
    expect(completed).toMatchObject({
      status: 200,
      body: {
        success: true,
        public_url: publicUrl(`${task}/${STORED_NAME}`),
        thumbnail_url: publicUrl(`${task}/${thumbnail}`),
      },
    });
    expect(await api.queue.task(task)).toMatchObject({
      status: "Complete",
      output_location: completed.body.public_url,
      result_data: { video_url: completed.body.public_url, thumbnail_url: completed.body.thumbnail_url },
    });
    const again = await api.call("complete_task", service, done);
    expect(again).toMatchObject({ status: 200, body: { success: true, public_url: completed.body.public_url } });
    expect(await api.call("claim-next-task", service, { worker_id: worker })).toEqual({ status: 204, body: null });
  });

  it("sends a small file in the request itself, named after its prompt", async () => {
    const id = await claimed();
    const file = { task_id: id, file_data: video, filename: WGP_FILENAME };
    const { body } = await api.call("complete_task", service, file);
    expect(body).toMatchObject({ success: true, public_url: publicUrl(`${id}/${STORED_NAME}`) });
    expect(await (await fetch(body.public_url)).text()).toBe("a video");
  });

  it("gets 401 with a key of another project", async () => {
    const foreign = service.startsWith("sb_") ? "sb_secret_of_another_project" : `${service.slice(0, -4)}AAAA`;
    expect(await api.call("task-counts", foreign, {})).toMatchObject({ status: 401, body: { error: "unauthorized" } });
  });
});

it.each(["complete-task", "update-task-status"])(
  "A file is found by its public address, in any encoding of its name: %s",
  async (name) => {
    const id = await claimed();
    const files = api.client(api.keys.serviceRoleKey).storage.from("videos");
    expect((await files.upload(`${id}/a b.mp4`, Buffer.from("a video"))).error).toBeNull();
    const address = files.getPublicUrl(`${id}/a b.mp4`).data.publicUrl;
    expect(address).toContain("a%20b.mp4");
    const report = (location: string) =>
      api.call(name, api.keys.serviceRoleKey, { task_id: id, status: "Complete", output_location: location });
    expect(await report(`${address}%`)).toMatchObject({ status: 400, body: { field: "output_location" } });
    expect(await report(address)).toMatchObject({ status: 200, body: { success: true } });
    expect(await api.queue.task(id)).toMatchObject({ status: "Complete", output_location: address });
  },
);

it("A claim without worker_id uses one machine for each personal access token, and is refused to a service key", async () => {
  const nameless = { run_type: "gpu" };
  const [first, second] = await api.queue.addTasks(pool, 2, { project_id: ann.project });
  const claim = await api.call("claim-next-task", ann.token, nameless);
  expect(claim).toMatchObject({ status: 200, body: { task_id: first } });
  expect((await api.call("claim-next-task", ann.token, nameless)).body).toEqual(claim.body);
  const other = await api.queue.call<{ token: string }>("api_create_token", {
    p_label: "desktop",
    p_user_id: ann.userId,
  });
  expect((await api.call("claim-next-task", other.token, nameless)).body).toMatchObject({ task_id: second });
  const done = await api.call("complete-task", ann.token, { task_id: first, file_data: video, filename: "x.mp4" });
  expect(done).toMatchObject({ status: 200 });
  const machines = await api.queue.rows("select id from workers where user_id = $1 order by id", [ann.userId]);
  const idOf = (token: string) =>
    `personal-${ann.userId}-token-${createHash("sha256").update(token).digest("hex").slice(0, 12)}`;
  expect(machines).toEqual(
    [ann.token, other.token].map((token) => ({ id: idOf(token) })).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  );
  for (const bearer of [api.keys.serviceRoleKey, api.keys.secretKey, ann.jwt]) {
    expect(await api.call("claim-next-task", bearer, nameless)).toMatchObject({
      status: 400,
      body: { field: "worker_id" },
    });
  }
});

it("Only the service key gets the segments of a run without naming its project", async () => {
  const ids = await api.queue.addTasks(pool, 3, { project_id: ann.project, task_type: "travel_segment" });
  const run = `run of ${pool}`;
  for (const [place, index] of [10, 2, 0].entries()) {
    await api.queue.rows(
      "update tasks set params = jsonb_build_object('orchestrator_run_id', $2::text, 'segment_index', $3::int) where id = $1",
      [ids[place], run, index],
    );
    const lease = await api.queue.lease(worker);
    await api.call("complete-task", api.keys.serviceRoleKey, {
      task_id: lease.task_id,
      file_data: video,
      filename: "s.mp4",
    });
  }
  const whole = ids.toReversed().map((id, place) => ({
    segment_index: [0, 2, 10][place],
    output_location: publicUrl(`${id}/s_a1.mp4`),
  }));
  for (const service of [api.keys.serviceRoleKey, api.keys.secretKey]) {
    expect((await api.call("get-completed-segments", service, { run_id: run })).body).toEqual(whole);
  }
  for (const bearer of [ann.jwt, ann.token]) {
    const named = { run_id: run, project_id: ann.project };
    expect((await api.call("get-completed-segments", bearer, named)).body).toEqual(whole);
    expect(await api.call("get-completed-segments", bearer, { run_id: run })).toMatchObject({
      status: 400,
      body: { field: "project_id" },
    });
  }
});
