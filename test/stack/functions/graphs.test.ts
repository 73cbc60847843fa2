import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";

/** The graph of an orchestrator task, by whom it is written and read. */
describe("a graph of tasks", () => {
  let api: PeopleApi;
  let ann: Person;
  let bob: Person;
  beforeAll(async () => {
    api = await openPeopleApi();
  });
  afterAll(() => api?.close());
  beforeEach(async () => {
    [ann, bob] = [await api.newPerson(), await api.newPerson()];
  });

  const chain = () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const params = { prompt: "x" };
    return {
      first,
      second,
      subTasks: [
        { id: first, task_type: "join_clips_segment", params },
        { id: second, task_type: "join_clips_segment", params, dependant_on: first },
      ],
    };
  };
  const podWith = async (project: string) => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    const token = randomBytes(32).toString("base64url");
    await api.giveToken(worker, token);
    const parent = await api.queue.addTask(pool, { task_type: "join_clips_orchestrator", project_id: project });
    const lease = await api.queue.lease(worker);
    expect(lease.task_id).toBe(parent);
    return { worker, pool, token, parent, client: api.asWorker(token) };
  };
  const finish = async (worker: string, output: string) => {
    const lease = await api.queue.lease(worker);
    await api.queue.rows("select func_mark_task_complete($1, $2, $3)", [
      lease.task_id,
      { video_url: output },
      lease.lease_token,
    ]);
    return lease.task_id;
  };

  it("is written by a pod with its token, and by a user's machine, each for the task that it holds", async () => {
    const pod = await podWith(ann.project);
    const { first, second, subTasks } = chain();
    const body = { task_id: pod.parent, sub_tasks: subTasks, result_task_id: second };
    const other = await podWith(bob.project);
    expect((await api.call("delegate-task", other.token, body)).status).toBe(403);
    expect((await api.call("delegate-task", bob.token, body)).status).toBe(404);
    expect((await api.call("delegate-task", ann.token, body)).status).toBe(403);
    const written = { status: 200, body: { task_id: pod.parent, outcome: "delegated" } };
    expect(await api.call("delegate-task", pod.token, body)).toEqual(written);
    expect(await api.call("delegate_task", pod.token, body)).toEqual(written);
    expect(await api.queue.task(first)).toMatchObject({ project_id: ann.project, pool: pod.pool, gate: "open" });

    const own = await api.queue.addTask("api", { project_id: bob.project, task_type: "join_clips_orchestrator" });
    expect((await api.call("claim-next-task", bob.token, { worker_id: "laptop" })).body).toMatchObject({
      task_id: own,
    });
    const mine = chain();
    expect(await api.call("delegate-task", bob.token, { task_id: own, sub_tasks: mine.subTasks })).toMatchObject({
      status: 200,
      body: { outcome: "delegated" },
    });
    expect((await api.call("claim-next-task", bob.token, { worker_id: "laptop" })).body).toMatchObject({
      task_id: mine.first,
    });
  });

  it("refuses sub-tasks with the field's name, and says when the lease has ended", async () => {
    const pod = await podWith(ann.project);
    const refused = await api.call("delegate-task", pod.token, { task_id: pod.parent, sub_tasks: [{ id: 7 }] });
    expect(refused).toMatchObject({ status: 400, body: { message: expect.stringContaining("p_sub_tasks[0].id") } });
    await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [pod.parent]);
    expect(await api.call("delegate-task", pod.token, { task_id: pod.parent, sub_tasks: [] })).toMatchObject({
      status: 409,
      body: { message: expect.stringContaining("its lease ended (cancelled)") },
    });
  });

  it("shows a worker what the tasks of its own graph have made, and nothing of another's", async () => {
    const pod = await podWith(ann.project);
    const { first, second, subTasks } = chain();
    await api.call("delegate-task", pod.token, { task_id: pod.parent, sub_tasks: subTasks });
    const stranger = await podWith(bob.project);
    expect(await finish(pod.worker, "https://files.example/1.mp4")).toBe(first);
    const outputOf = async (client: typeof pod.client, id: string) => {
      const { data, error } = await client.rpc("api_task_output", { p_task_id: id });
      expect(error).toBeNull();
      return data as unknown;
    };
    const as = ({ jwt }: Person) => api.client(api.keys.anonKey, { authorization: `Bearer ${jwt}` });
    // Without a task, a worker's token shows none.
    expect(await outputOf(pod.client, first)).toBeNull();
    expect((await api.queue.lease(pod.worker)).task_id).toBe(second);
    const made = {
      task_id: first,
      task_type: "join_clips_segment",
      status: "Complete",
      output_location: "https://files.example/1.mp4",
      result_data: { video_url: "https://files.example/1.mp4", output_file: { external: true } },
    };
    expect(await outputOf(pod.client, first)).toEqual(made);
    expect(await outputOf(pod.client, second)).toMatchObject({ status: "In Progress", output_location: null });
    expect(await outputOf(pod.client, randomUUID())).toBeNull();
    expect(await outputOf(stranger.client, first)).toBeNull();
    expect(await outputOf(as(ann), first)).toEqual(made);
    expect(await outputOf(as(bob), first)).toBeNull();
    const { data } = await pod.client.rpc("api_predecessor_output", { p_task_id: second });
    expect(data).toEqual({ predecessor_id: first, status: "Complete", output_location: made.output_location });
    const { error } = await api.client(api.keys.anonKey).rpc("api_task_output", { p_task_id: first });
    expect(error?.message).toBe("the caller is unknown");
  });
});
