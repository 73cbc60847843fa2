import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi, type Person } from "../kit/api.ts";

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

function asPerson({ token }: Person) {
  return api.client(api.keys.anonKey, { "x-api-token": token });
}
async function newWorker(): Promise<{ id: string; token: string }> {
  const worker = { id: await api.queue.newWorker(pool), token: `gpw_${randomBytes(32).toString("base64url")}` };
  await api.giveToken(worker.id, worker.token);
  return worker;
}

describe("a user's own machine", () => {
  it("claims only tasks of its user's projects, by every function and in every pool", async () => {
    const own = await api.queue.addTask(pool, { project_id: ann.project });
    expect((await api.call("claim-next-task", ann.token, { worker_id: "box" })).body).toMatchObject({ task_id: own });
    const machine = `personal-${ann.userId}-box`;
    await api.call("mark-task-failed", ann.token, { task_id: own, error_message: "no" });
    await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [own]);
    for (const place of ["personal", pool]) {
      await api.queue.rows("update workers set pool = $2 where id = $1", [machine, place]);
      const theirs = await api.queue.addTask(place, { project_id: bob.project });
      for (const types of [null, ["generate_video"]]) {
        await api.queue.rows("update workers set task_types = $2 where id = $1", [machine, types]);
        const lease = { p_task_id: own, p_lease_token: randomUUID() };
        const file = { p_storage_path: null, p_output_location: null, p_result: {} };
        for (const answer of [
          await asPerson(ann).rpc("claim_task", { p_worker_id: machine }),
          await asPerson(ann).rpc("func_claim_available_task", { worker_id_param: machine }),
          await asPerson(ann).rpc("finish_and_claim", { ...lease, ...file }),
          await asPerson(ann).rpc("api_claim_task", { p_worker_id: "box" }),
        ]) {
          expect([place, types, answer.error]).toEqual([place, types, null]);
        }
      }
      expect(await api.queue.task(theirs)).toMatchObject({ status: "Queued", worker_id: null });
      await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [theirs]);
    }
  });

  it("stands in a pool whose name nobody else may use", async () => {
    const service = api.client(api.keys.serviceRoleKey);
    await api.call("create-task", ann.token, { task_type: "t2v", params: {} });
    expect((await api.call("claim-next-task", ann.token, { worker_id: "box" })).status).toBe(200);
    const reserved = { code: "PT400", message: expect.stringContaining("reserved") };
    const hash = "0".repeat(64);
    for (const answer of [
      await service.from("pools").insert({ name: "personal" }),
      await service.from("pools").update({ mode: "normal" }).eq("name", "personal"),
      await service.rpc("pool_open", { p_pool: "personal", p_start: "x", p_config: null }),
      await service.from("workers").insert({ id: `w-${hash.slice(0, 8)}`, pool: "personal" }),
      await service.from("task_types").upsert({ name: "generate_video", pool: "personal" }),
      await service.rpc("register_external_worker", {
        p_worker_id: "w-1",
        p_pool: "personal",
        p_token_hash: hash,
        p_lifetime_sec: 60,
      }),
    ]) {
      expect(answer.error).toMatchObject(reserved);
    }
  });
});

describe("a worker that fails one task after the other", () => {
  const fail = async (worker: { id: string; token: string }) => {
    const { task } = (await api.asWorker(worker.token).rpc("claim_task", { p_worker_id: worker.id })).data as {
      task: { task_id: string; lease_token: string } | null;
    };
    if (task === null) {
      return null;
    }
    const { data } = await api.asWorker(worker.token).rpc("fail_task", {
      p_task_id: task.task_id,
      p_lease_token: task.lease_token,
      p_error: "no CUDA",
      p_permanent: true,
    });
    return { id: task.task_id, outcome: (data as { outcome: string }).outcome };
  };

  it("ends two tasks at most: the others wait, uncounted, for another worker", async () => {
    const bad = await newWorker();
    const ids = await api.queue.addTasks(pool, 30, { project_id: ann.project });
    const outcomes: string[] = [];
    for (let failed = await fail(bad); failed !== null; failed = await fail(bad)) {
      outcomes.push(failed.outcome);
    }
    expect(outcomes).toEqual(ids.map((_, index) => (index < 2 ? "failed" : "requeued")));
    for (const id of ids.slice(2)) {
      expect(await api.queue.task(id)).toMatchObject({ status: "Queued", attempts: 0, gate: "delayed" });
    }
    // The watch, which ends delays, opens them neither.
    await api.queue.call("open_delayed_tasks", { p_pool: pool });
    expect(await fail(bad)).toBeNull();

    const good = await newWorker();
    for (const id of ids.slice(2, 5)) {
      const lease = await api.queue.lease(good.id);
      expect(lease.task_id).toBe(id);
      expect(await fail(bad)).toBeNull();
      expect(await api.queue.finish(lease)).toBe("completed");
    }
    // What a second worker says is final.
    expect(await fail(good)).toEqual({ id: ids[5], outcome: "failed" });
    expect(await api.queue.task(ids[5]!)).toMatchObject({ status: "Failed", error_message: "no CUDA" });
  });

  it("gets no third opinion by three attempts of its own at each task", async () => {
    const bad = await newWorker();
    const ids = await api.queue.addTasks(pool, 4, { project_id: ann.project });
    for (let round = 0; round < 20; round += 1) {
      const { task } = await api.queue.claim(bad.id);
      if (task !== null) {
        await api.queue.fail(task, "no CUDA");
      }
    }
    const statuses = await Promise.all(ids.map(async (id) => (await api.queue.task(id)).status));
    expect(statuses.filter((status) => status === "Failed")).toHaveLength(2);
  });

  it("gives its tasks to anybody once it is gone, and to itself after a while, for the last time", async () => {
    const bad = await newWorker();
    const ids = await api.queue.addTasks(pool, 4, { project_id: ann.project });
    while ((await fail(bad)) !== null) {
      // Until it finds none.
    }
    await api.queue.rows(
      "update ended_attempts set ended_at = ended_at - interval '11 minutes' where task_id = $1 and put_back",
      [ids[2]],
    );
    expect(await fail(bad)).toEqual({ id: ids[2], outcome: "failed" });
    await api.queue.rows("update workers set status = 'terminated', gone_at = now() where id = $1", [bad.id]);
    expect(await api.queue.call("open_delayed_tasks", { p_pool: pool })).toEqual([ids[3]]);
  });
});

describe("what one credential reaches", () => {
  it("a personal token revokes itself, and no other token of its user", async () => {
    const second = await api.queue.call<{ id: string; token: string }>("api_create_token", {
      p_label: "second",
      p_user_id: ann.userId,
    });
    const first = await api.queue.one<{ id: string }>(
      "select id from user_api_tokens where user_id = $1 and label = 'test'",
      [ann.userId],
    );
    const revoke = (id: string) => asPerson(ann).rpc("api_revoke_token", { p_id: id });
    expect((await revoke(second.id)).error).toMatchObject({ code: "PT403" });
    expect((await api.call("task-counts", second.token, {})).status).toBe(200);
    expect((await revoke(first.id)).error).toBeNull();
    expect((await revoke(first.id)).error).toMatchObject({ code: "PT401" });
  });

  it("a worker adds sub-tasks to the task that it holds, not to the parent that another worker delegated", async () => {
    const [holder, other] = [await newWorker(), await newWorker()];
    const parent = await api.queue.addTask(pool, { project_id: ann.project, task_type: "travel_orchestrator" });
    await api.queue.lease(holder.id);
    const subTask = (id: string) => ({ task_type: "t2v", params: { orchestrator_task_id_ref: id } });
    const made = await api.call("create-task", holder.token, subTask(parent));
    expect(made.status).toBe(200);
    await api.call("update-task-status", holder.token, { task_id: parent, status: "In Progress" });
    await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [
      await api.queue.addTask(pool, { project_id: bob.project }),
    ]);
    const unrelated = await api.queue.addTask(pool, { project_id: ann.project, priority: 9 });
    expect((await api.queue.lease(other.id)).task_id).toBe(unrelated);
    for (const ref of [parent, parent.toUpperCase(), randomUUID()]) {
      expect(await api.call("create-task", other.token, subTask(ref))).toMatchObject({ status: 403 });
    }
    expect((await api.call("create-task", other.token, subTask(unrelated))).status).toBe(200);
    expect(await api.queue.rows("select id from tasks where parent_id = $1", [parent])).toEqual([
      { id: made.body.task_id },
    ]);
  });

  it("an estimated count shows nothing of other people's rows", async () => {
    await api.queue.rows(
      `insert into tasks (task_type, pool, project_id)
       select case when n % 3 = 0 then 'secret' else 'usual' end, $1, $2 from generate_series(1, 3000) n`,
      [pool, bob.project],
    );
    await api.queue.rows("insert into projects (name, user_id) select 'secret', $1 from generate_series(1, 500)", [
      bob.userId,
    ]);
    await api.queue.rows("analyze tasks, projects, user_api_tokens");
    const user = api.client(api.keys.anonKey, { authorization: `Bearer ${ann.jwt}` });
    for (const count of ["planned", "estimated"] as const) {
      const counts = await Promise.all([
        ...["secret", "usual", "nothing"].map((type) =>
          user.from("tasks").select("id", { count, head: true }).eq("task_type", type),
        ),
        user.from("tasks").select("id", { count, head: true }),
        user.from("tasks").select("id", { count, head: true }).eq("project_id", bob.project),
        user.from("projects").select("id", { count, head: true }).eq("name", "secret"),
        user.from("projects").select("id", { count, head: true }).eq("name", "nothing"),
      ]);
      expect(counts.map(({ error }) => error)).toEqual(counts.map(() => null));
      expect([count, ...counts.map((each) => (each.count ?? 0) <= 1)]).toEqual([count, ...counts.map(() => true)]);
    }
    const mine = await api.queue.addTask(pool, { project_id: ann.project });
    expect((await user.from("tasks").select("id")).data).toEqual([{ id: mine }]);
  });
});
