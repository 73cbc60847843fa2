import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Claim, type ClaimedTask, leaseArgs, openQueue, type Queue, type Session } from "../../kit/queue.ts";

const NO_FILE = { p_storage_path: null, p_output_location: null, p_result: {} };

describe("what a worker can do", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const state = (worker: string, types: readonly string[] | null) =>
    queue.rows("select worker_can_do($1, $2)", [worker, types]);
  const able = async (of: string, ...types: string[]) => {
    const worker = await queue.newWorker(of);
    await state(worker, types);
    return worker;
  };
  const add = (of: string, type: string, columns: object = {}) => queue.addTask(of, { task_type: type, ...columns });
  const claimedBy = async (worker: string) => (await queue.claim(worker)).task?.task_id ?? null;
  const finishAndClaim = (lease: ClaimedTask) =>
    queue.call<Claim & { outcome: string }>("finish_and_claim", { ...leaseArgs(lease), ...NO_FILE });

  it("decides what its claims give it, in the order of the line", async () => {
    const of = await queue.newPool();
    const foreign = await queue.addTasks(of, 3, { task_type: "flux" });
    const own = [await add(of, "t2v"), await add(of, "i2v"), await add(of, "t2v")];
    const urgent = await add(of, "i2v", { priority: 1 });
    const worker = await able(of, "t2v", "i2v", "vace");
    const first = await queue.lease(worker);
    const second = (await finishAndClaim(first)).task!;
    const third = (await finishAndClaim(second)).task!;
    const fourth = (await finishAndClaim(third)).task!;
    expect([first, second, third, fourth].map(({ task_id: id }) => id)).toEqual([urgent, ...own]);
    expect(await finishAndClaim(fourth)).toMatchObject({ outcome: "completed", task: null });
    const any = await queue.newWorker(of);
    expect(await claimedBy(any)).toBe(foreign[0]);
  });

  it("is everything if nobody has said, and nothing by an empty list", async () => {
    const of = await queue.newPool();
    const task = await add(of, "a type that no table knows");
    const worker = await able(of);
    expect(await queue.claim(worker)).toEqual({ worker_status: "active", task: null });
    await state(worker, ["a type that no table knows"]);
    expect(await claimedBy(worker)).toBe(task);
    const other = await add(of, "flux");
    const undecided = await queue.newWorker(of);
    expect(await claimedBy(undecided)).toBe(other);
    await state(worker, null);
    await queue.finish(await queue.lease(worker));
    const third = await add(of, "yet another type");
    expect(await claimedBy(worker)).toBe(third);
  });

  it("is stated by aliases too, for tasks are stored under the name of their type", async () => {
    const of = await queue.newPool();
    await queue.rows("insert into task_types (name, alias_of) values ('moving_picture', 'generate_video')");
    const task = await add(of, "moving_picture");
    const worker = await able(of, "moving_picture");
    expect(await queue.lease(worker)).toMatchObject({ task_id: task, task_type: "generate_video" });
  });

  it("is looked for by the name of the type, whenever the type of a task or the meaning of a name changes", async () => {
    const of = await queue.newPool();
    const worker = await able(of, "generate_video");
    const first = await add(of, "t2v");
    await queue.rows("update tasks set task_type = 'video_generation' where id = $1", [first]);
    const lease = await queue.lease(worker);
    expect(lease).toMatchObject({ task_id: first, task_type: "generate_video" });
    const second = await add(of, "films");
    await queue.rows("insert into task_types (name, alias_of) values ('films', 'generate_video')");
    expect((await finishAndClaim(lease)).task).toMatchObject({ task_id: second, task_type: "generate_video" });
    const direct = await queue.newWorker(of);
    const write = "update workers set task_types = $2 where id = $1";
    const session = await queue.session();
    await session.rows("set role service_role");
    await session.rows(write, [direct, ["video_generation"]]);
    await expect(session.rows(write, [direct, [""]])).rejects.toMatchObject({ code: "PT400" });
    await session.end();
    const third = await add(of, "generate_video");
    expect(await claimedBy(direct)).toBe(third);
  });

  it("is checked when it is stated", async () => {
    const worker = await queue.newWorker(pool);
    await expect(state(worker, [""])).rejects.toThrow("p_task_types: at most 500 names of task types are expected");
    await expect(
      state(
        worker,
        Array.from({ length: 501 }, (_, n) => `t${n}`),
      ),
    ).rejects.toThrow("p_task_types");
  });

  it("holds for workers of the old protocol and what they count", async () => {
    const of = await queue.newPool();
    await queue.addTasks(of, 2, { task_type: "flux" });
    const task = await add(of, "t2v");
    const worker = await able(of, "t2v");
    const counts = () =>
      queue.one<{ n: number }>("select (task_counts(null, $1) -> 'totals' ->> 'queued_only')::int as n", [worker]);
    expect(await counts()).toEqual({ n: 1 });
    const claim = "select id from func_claim_available_task($1)";
    expect(await queue.rows(claim, [worker])).toEqual([{ id: task }]);
    await queue.finish(await queue.lease(worker));
    expect(await queue.rows(claim, [worker])).toEqual([]);
    expect(await counts()).toEqual({ n: 0 });
  });

  it("may change at a restart: a task that it can no longer do goes to another, uncounted", async () => {
    const of = await queue.newPool();
    const [task, next] = [await add(of, "t2v"), await add(of, "flux")];
    const worker = await able(of, "t2v", "flux");
    const lost = await queue.lease(worker);
    expect(lost.task_id).toBe(task);
    await state(worker, ["flux"]);
    expect(await claimedBy(worker)).toBe(next);
    expect(await queue.task(task)).toMatchObject({ status: "Queued", gate: "open", attempts: 0, worker_id: null });
    expect(await queue.rows("select cause, error from ended_attempts where task_id = $1", [task])).toEqual([
      { cause: "released", error: "its worker began anew and can no longer do tasks of this type" },
    ]);
    expect(await queue.finish(lost)).toBe("lease_lost");
    expect(await claimedBy(await able(of, "t2v"))).toBe(task);
  });

  it("also of a worker that is drained meanwhile; one that still can goes on", async () => {
    const of = await queue.newPool();
    const task = await add(of, "t2v");
    const worker = await able(of, "t2v");
    expect(await claimedBy(worker)).toBe(task);
    await queue.call("drain_worker", { p_worker_id: worker, p_reason: "the test", p_only_idle: false });
    expect(await claimedBy(worker)).toBe(task);
    await state(worker, ["flux"]);
    expect(await queue.claim(worker)).toEqual({ worker_status: "terminating", task: null });
    expect(await queue.task(task)).toMatchObject({ status: "Queued" });
  });

  it("lets a claim pass over what others are claiming, and never over a task of its own", async () => {
    const of = await queue.newPool();
    await queue.addTasks(of, 5, { task_type: "flux" });
    const types = ["t2v", "i2v", "vace"];
    const own: string[] = [];
    for (let n = 0; n < 24; n += 1) {
      own.push(await add(of, types[n % types.length]!));
    }
    const sessions: Session[] = [];
    const given: string[] = [];
    for (let n = 0; n < 20; n += 1) {
      const worker = await able(of, ...types);
      const session = await queue.session();
      await session.rows("begin");
      given.push((await session.call<Claim>("claim_task", { p_worker_id: worker })).task!.task_id);
      sessions.push(session);
    }
    // The first sixteen of its line are looked through in their order. With more claims at once, a claim takes any.
    expect(given.slice(0, 16)).toEqual(own.slice(0, 16));
    expect(new Set(given).size).toBe(20);
    expect(own).toEqual(expect.arrayContaining(given));
    for (const session of sessions) {
      await session.rows("rollback");
      await session.end();
    }
  });

  it("is asked anew whatever the connection's last claim found", async () => {
    const of = await queue.newPool();
    const worker = await able(of, "t2v");
    const undecided = await queue.newWorker(of);
    const session = await queue.session();
    const claim = async (by: string) => (await session.call<Claim>("claim_task", { p_worker_id: by })).task;
    const next = async (by: string, type: string) => {
      const id = await add(of, type);
      const task = await claim(by);
      expect(task?.task_id).toBe(id);
      await queue.finish(task!);
    };
    expect(await claim(worker)).toBeNull();
    expect(await claim(worker)).toBeNull();
    await next(worker, "t2v");
    // The head is its own, then it is not.
    await next(worker, "t2v");
    const foreign = await add(of, "flux");
    expect(await claim(worker)).toBeNull();
    expect(await claim(worker)).toBeNull();
    await next(worker, "t2v");
    expect(await claim(undecided)).toMatchObject({ task_id: foreign });
    expect(await claim(worker)).toBeNull();
    await session.end();
  });

  it("waits for the delay of its own tasks, and opens those of others", async () => {
    const of = await queue.newPool();
    const worker = await able(of, "t2v");
    const [own, foreign] = [await add(of, "t2v"), await add(of, "flux")];
    await queue.rows(
      "update tasks set gate = 'delayed', delayed_until = now() - interval '1 second' where id = any ($1)",
      [[own, foreign]],
    );
    expect(await claimedBy(worker)).toBe(own);
    expect(await queue.task(foreign)).toMatchObject({ gate: "open" });
  });

  it("keeps a claim from writing where there is nothing for it", async () => {
    const of = await queue.newPool();
    await queue.addTasks(of, 3, { task_type: "flux" });
    const worker = await able(of, "t2v");
    const session = await queue.session();
    const claim = () => session.call<Claim>("claim_task", { p_worker_id: worker });
    await claim();
    await session.rows("begin");
    expect((await claim()).task).toBeNull();
    expect(await session.rows("select pg_current_xact_id_if_assigned() as id")).toEqual([{ id: null }]);
    await session.rows("rollback");
    await session.end();
  });
});
