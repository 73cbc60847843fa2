import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FUNCTIONS } from "../../../supabase/functions/_shared/functions.ts";
import { openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";

describe("the edge functions as workers of the incumbent call them", () => {
  let api: PeopleApi;
  let service: string;
  let ann: Person;
  let bob: Person;
  let pool: string;
  let worker: string;
  beforeAll(async () => {
    api = await openPeopleApi();
    service = api.keys.serviceRoleKey;
  });
  beforeEach(async () => {
    [ann, bob] = [await api.newPerson(), await api.newPerson()];
    pool = await api.queue.newPool();
    worker = await api.queue.newWorker(pool);
  });
  afterAll(() => api?.close());

  const video = Buffer.from("a video").toString("base64");
  const claimed = async () => {
    await api.queue.addTask(pool, { project_id: ann.project });
    return api.queue.lease(worker);
  };
  const publicUrl = (path: string) => `${api.url}/storage/v1/object/public/videos/${path}`;
  const put = async (path: string, content = "a video") => {
    const stored = await api.client(service).storage.from("videos").upload(path, Buffer.from(content));
    expect(stored.error).toBeNull();
  };

  it("have a folder for Deno under both spellings, and settings without a check of JWTs", () => {
    const config = readFileSync("supabase/config.toml", "utf8");
    const names = Object.keys(FUNCTIONS).flatMap((each) => [each, each.replaceAll("-", "_")]);
    expect(names.filter((name) => !existsSync(`supabase/functions/${name}/index.ts`))).toEqual([]);
    expect(names.filter((name) => !config.includes(`[functions.${name}]\nverify_jwt = false\n`))).toEqual([]);
  });

  it("accept a small file with its first frame in the request itself, and store them under names with the attempt", async () => {
    const lease = await claimed();
    const answer = await api.call("complete_task", service, {
      task_id: lease.task_id,
      file_data: video,
      filename: "out.mp4",
      first_frame_data: Buffer.from("a frame").toString("base64"),
      first_frame_filename: "thumb_1.jpg",
    });
    expect(answer.body).toMatchObject({
      success: true,
      public_url: publicUrl(`${lease.task_id}/out_a1.mp4`),
      thumbnail_url: publicUrl(`${lease.task_id}/thumb_1_a1.jpg`),
    });
    const file = await fetch(answer.body.public_url);
    expect(file.headers.get("content-type")).toContain("video/mp4");
    expect(await file.text()).toBe("a video");
    expect(await (await fetch(answer.body.thumbnail_url)).text()).toBe("a frame");
  });

  it.each(["complete-task", "update-task-status"])(
    "complete a task by the public address of a stored object, and by no other address: %s",
    async (name) => {
      const { task_id: id } = await claimed();
      const complete = (location: string) =>
        api.call(name, service, { task_id: id, status: "Complete", output_location: location });
      for (const elsewhere of ["https://example.com/x.mp4", "/tmp/x.mp4"]) {
        expect(await complete(elsewhere)).toMatchObject({ status: 400, body: { field: "output_location" } });
      }
      expect((await complete(publicUrl(`${id}/absent.mp4`))).status).toBe(409);
      const foreign = randomUUID();
      await put(`${foreign}/out.mp4`);
      expect((await complete(publicUrl(`${foreign}/out.mp4`))).status).toBe(409);
      await put(`${id}/out.mp4`);
      expect(await complete(publicUrl(`${id}/out.mp4`))).toMatchObject({ status: 200, body: { success: true } });
      expect((await api.queue.task(id)).status).toBe("Complete");
    },
  );

  it("count a failure as an attempt, and answer whether the task is in the queue again or Failed", async () => {
    const { task_id: id } = await claimed();
    const failed = { task_id: id, status: "Failed", output_location: "CUDA said no" };
    expect(await api.call("update-task-status", service, failed)).toMatchObject({
      status: 200,
      body: { status: "Queued" },
    });
    await api.queue.lease(worker);
    const marked = { task_id: id, error_message: "CUDA said no" };
    expect(await api.call("mark-task-failed", service, marked)).toMatchObject({ body: { status: "Queued" } });
    await api.queue.lease(worker);
    expect(await api.call("mark_task_failed", service, marked)).toMatchObject({ body: { status: "Failed" } });
    expect(await api.queue.task(id)).toMatchObject({ status: "Failed", error_message: "CUDA said no" });
    // The answer was lost and the request is repeated.
    expect(await api.call("mark-task-failed", service, marked)).toMatchObject({
      status: 200,
      body: { status: "Failed" },
    });
    const revive = await api.call("update-task-status", service, { task_id: id, status: "In Progress" });
    expect(revive).toMatchObject({ status: 409, body: { error: "conflict", field: "task_id" } });
    expect((await api.call("update-task-status", service, { task_id: id, status: "Cancelled" })).status).toBe(409);
  });

  it("release a task without counting an attempt, and cancel one", async () => {
    const { task_id: id } = await claimed();
    expect(await api.call("update-task-status", service, { task_id: id, status: "queued" })).toMatchObject({
      body: { status: "Queued" },
    });
    expect(await api.queue.task(id)).toMatchObject({ status: "Queued", attempts: 0 });
    expect(await api.call("update-task-status", service, { task_id: id, status: "Cancelled" })).toMatchObject({
      body: { status: "Cancelled" },
    });
  });

  it("delay an orchestrator task without sub-tasks that its worker claims again and again, and give it other work", async () => {
    const parent = await api.queue.addTask(pool, { project_id: ann.project, task_type: "travel_orchestrator" });
    const other = await api.queue.addTask(pool, { project_id: ann.project });
    const claims: (string | undefined)[] = [];
    for (let round = 0; round < 4; round += 1) {
      const claim = await api.call("claim-next-task", service, { worker_id: worker, run_type: "gpu" });
      const id = claim.body?.task_id as string | undefined;
      claims.push(id);
      if (id === parent) {
        const progress = { task_id: id, status: "In Progress", output_location: "nothing to do yet" };
        await api.call("update-task-status", service, progress);
      } else if (id !== undefined) {
        await api.queue.rows("update tasks set status = 'Complete' where id = $1", [id]);
      }
    }
    expect(claims).toEqual([parent, other, parent, undefined]);
    expect(await api.queue.task(parent)).toMatchObject({ status: "Queued", gate: "delayed", hand_backs: 2 });
    await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [parent]);
  });

  it("let an orchestrator task create its sub-tasks, wait for them without a worker, and end with the last of them", async () => {
    await api.queue.addTask(pool, { project_id: ann.project, task_type: "travel_orchestrator" });
    const parent = await api.queue.lease(worker);
    const ids = [randomUUID(), randomUUID()];
    const subTask = (index: number) => ({
      task_id: ids[index],
      task_type: "travel_segment",
      project_id: ann.project,
      params: { orchestrator_task_id_ref: parent.task_id, orchestrator_run_id: "run 1", segment_index: index },
      dependant_on: index === 0 ? null : ids[index - 1],
    });
    for (const index of [0, 1, 1]) {
      expect(await api.call("create_task", service, subTask(index))).toMatchObject({
        status: 200,
        body: { task_id: ids[index] },
      });
    }
    await api.queue.rows("update tasks set pool = $1 where project_id = $2", [pool, ann.project]);
    const progress = { task_id: parent.task_id, status: "In Progress", output_location: "2 segments queued" };
    expect(await api.call("update-task-status", service, progress)).toMatchObject({ body: { status: "In Progress" } });

    for (const index of [0, 1]) {
      const claim = await api.call("claim-next-task", service, { worker_id: worker, run_type: "gpu" });
      expect(claim.body.task_id).toBe(ids[index]);
      const before = await api.call("get-predecessor-output", service, { task_id: ids[index] });
      const first = publicUrl(`${ids[0]}/s_a1.mp4`);
      expect(before.body).toEqual(
        index === 0
          ? { predecessor_id: null, output_location: null, status: null }
          : { predecessor_id: ids[0], output_location: first, status: "Complete" },
      );
      const file = { task_id: ids[index], file_data: video, filename: "s.mp4" };
      expect((await api.call("complete_task", service, file)).status).toBe(200);
    }
    const run = { run_id: "run 1", project_id: ann.project };
    expect((await api.call("get-completed-segments", service, run)).body).toEqual(
      ids.map((id, index) => ({ segment_index: index, output_location: publicUrl(`${id}/s_a1.mp4`) })),
    );
    expect(await api.queue.task(parent.task_id)).toMatchObject({ status: "Complete" });
  });

  it.each(["jwt", "token"] as const)(
    "let a user's own machine work on the user's tasks with their %s",
    async (kind) => {
      const mine = { worker_id: "my-laptop", run_type: "gpu" };
      await api.queue.addTask(pool, { project_id: bob.project });
      expect((await api.call("claim-next-task", ann[kind], mine)).status).toBe(204);
      const made = await api.call("create-task", ann[kind], { task_type: "t2v", params: {}, project_id: ann.project });
      const id = made.body.task_id;
      expect((await api.call("task-counts", ann[kind], {})).body.totals).toMatchObject({
        queued_only: 1,
        active_only: 0,
      });
      const claim = await api.call("claim-next-task", ann[kind], mine);
      expect(claim.body).toMatchObject({ task_id: id, attempt: 1 });
      expect((await api.call("claim-next-task", ann[kind], mine)).body).toEqual(claim.body);
      expect((await api.call("claim-next-task", ann[kind], { worker_id: "desktop" })).status).toBe(204);
      expect((await api.call("task-counts", ann[kind], {})).body.totals).toMatchObject({
        queued_only: 0,
        active_only: 1,
      });
      const note = { task_id: id, status: "In Progress", output_location: "half" };
      expect((await api.call("update-task-status", ann[kind], note)).status).toBe(200);
      const file = { task_id: id, file_data: video, filename: "x.mp4" };
      expect(await api.call("complete-task", ann[kind], file)).toMatchObject({ status: 200, body: { success: true } });
      expect((await api.queue.task(id)).status).toBe("Complete");
    },
  );

  it("requeue the task of a user's machine after an hour without progress", async () => {
    await api.call("create-task", ann.token, { task_type: "t2v", params: {}, project_id: ann.project });
    const claim = await api.call("claim-next-task", ann.token, { worker_id: "my-laptop" });
    const id = claim.body.task_id;
    const expired = async (columns: string) => {
      await api.queue.rows(`update tasks set ${columns} where id = $1 and lease_ended_at is null`, [id]);
      const times = { p_pool: pool, p_silent_sec: 300, p_stuck_sec: 300 };
      return await api.queue.call("expire_external_workers", times);
    };
    await api.queue.rows("update workers set last_heartbeat = now() - interval '2 hours' where user_id = $1", [
      ann.userId,
    ]);
    expect(await expired("leased_at = now() - interval '59 minutes'")).toEqual({ closed: 0, removed: 0 });
    expect(await expired("leased_at = now() - interval '2 hours', progress_at = now()")).toEqual({
      closed: 0,
      removed: 0,
    });
    expect(await expired("progress_at = now() - interval '61 minutes'")).toEqual({ closed: 1, removed: 0 });
    expect(await api.queue.task(id)).toMatchObject({ status: "Queued", attempts: 1 });
    expect(await api.queue.one("select cause from task_attempts where task_id = $1", [id])).toEqual({ cause: "stuck" });
    const late = { task_id: id, file_data: video, filename: "x.mp4" };
    expect((await api.call("complete-task", ann.token, late)).status).toBe(403);
    // When the machine returns, it gets the task again.
    expect((await api.call("claim-next-task", ann.token, { worker_id: "my-laptop" })).body).toMatchObject({
      task_id: id,
      attempt: 2,
    });
  });

  it("refuse a user everything about another user's task and about tasks they did not claim", async () => {
    const lease = await claimed();
    const id = lease.task_id;
    await put(`${id}/out.mp4`);
    const bodies: [string, object][] = [
      ["complete-task", { task_id: id, storage_path: `${id}/out.mp4` }],
      ["complete-task", { task_id: id, storage_path: `${id}/out.mp4`, lease_token: lease.lease_token }],
      ["complete-task", { task_id: id, file_data: video, filename: "mine.mp4" }],
      ["generate-upload-url", { task_id: id, filename: "mine.mp4", content_type: "video/mp4" }],
      ["update-task-status", { task_id: id, status: "Failed" }],
      ["mark-task-failed", { task_id: id, error_message: "no" }],
    ];
    const about: [string, object][] = [
      ["get-predecessor-output", { task_id: id }],
      ["update-task-status", { task_id: id, status: "Cancelled" }],
    ];
    for (const bearer of [bob.jwt, bob.token]) {
      for (const [name, body] of [...bodies, ...about]) {
        expect({ name, ...(await api.call(name, bearer, body)) }).toMatchObject({ name, status: 404 });
      }
      const run = { run_id: "run 1", project_id: ann.project };
      expect((await api.call("get-completed-segments", bearer, run)).status).toBe(403);
    }
    for (const [name, body] of bodies) {
      expect({ name, ...(await api.call(name, ann.token, body)) }).toMatchObject({ name, status: 403 });
    }
    expect(await api.queue.task(id)).toMatchObject({ status: "In Progress", attempts: 1 });
    const { data } = await api.client(service).storage.from("videos").list(id);
    expect(data!.map(({ name }) => name)).toEqual(["out.mp4"]);
  });

  it("let a pod with its own token work on its own tasks, and change nothing of another's", async () => {
    const token = randomBytes(32).toString("base64url");
    await api.giveToken(worker, token);
    const anon = api.keys.anonKey;
    const own = { "x-worker-token": token };
    const task = await api.queue.addTask(pool, { project_id: ann.project });
    expect(await api.call("claim-next-task", anon, { worker_id: worker }, own)).toMatchObject({
      status: 200,
      body: { task_id: task },
    });
    const subTask = { task_type: "t2v", params: {} };
    const made = await api.call("create-task", anon, subTask, own);
    expect(await api.queue.task(made.body.task_id)).toMatchObject({ project_id: ann.project, pool });
    expect((await api.call("create-task", anon, { ...subTask, project_id: bob.project }, own)).status).toBe(403);
    expect((await api.call("get-predecessor-output", anon, { task_id: task }, own)).status).toBe(200);

    const other = await api.queue.newWorker(pool);
    const othersTask = await api.queue.addTask(pool, { project_id: bob.project, priority: 9 });
    await api.queue.lease(other);
    const file = { task_id: othersTask, file_data: video, filename: "x.mp4" };
    expect((await api.call("complete-task", anon, file, own)).status).toBe(403);
    expect((await api.call("get-predecessor-output", anon, { task_id: othersTask }, own)).status).toBe(404);
    expect((await api.call("claim-next-task", anon, { worker_id: other }, own)).status).toBe(401);
    const done = await api.call("complete-task", anon, { ...file, task_id: task }, own);
    expect(done).toMatchObject({ status: 200, body: { success: true } });
    await api.queue.rows("update workers set gone_at = now() where id = $1", [worker]);
    expect((await api.call("claim-next-task", anon, { worker_id: worker }, own)).status).toBe(401);
  });

  it("never give one task to two machines of a user that claim at once", async () => {
    const ids = await api.queue.addTasks(pool, 10, { project_id: ann.project });
    const claims = await Promise.all(
      Array.from({ length: 16 }, (_, index) => api.call("claim-next-task", ann.token, { worker_id: `m-${index}` })),
    );
    const got = claims.filter(({ status }) => status === 200).map(({ body }) => body.task_id as string);
    expect(new Set(got).size).toBe(got.length);
    expect(claims.every(({ status }) => status === 200 || status === 204)).toBe(true);
    expect(got.toSorted()).toEqual(ids.toSorted());
  });

  it("write no row for the machine of a user whose claim finds nothing", async () => {
    expect((await api.call("claim-next-task", ann.token, { worker_id: "made-up" })).status).toBe(204);
    expect(await api.queue.rows("select 1 from workers where user_id = $1", [ann.userId])).toEqual([]);
  });
});
