import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

interface Given {
  readonly id: string;
  readonly task_type: string;
  readonly params: object;
  readonly dependant_on?: string | null;
  readonly after_siblings?: boolean;
}

describe("the sub-tasks that a delegation writes", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const segment = (more: Partial<Given> = {}): Given => ({
    id: randomUUID(),
    task_type: "travel_segment",
    params: { prompt: "a lake" },
    ...more,
  });
  const delegate = async (lease: ClaimedTask, subTasks: unknown, resultTaskId: string | null = null) =>
    (
      await queue.call<{ outcome: string }>("delegate_task", {
        ...leaseArgs(lease),
        p_sub_tasks: JSON.stringify(subTasks),
        p_result_task_id: resultTaskId,
      })
    ).outcome;
  const orchestrate = async (columns: Readonly<Record<string, unknown>> = {}) => {
    const worker = await queue.newWorker(pool);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", ...columns });
    const lease = await queue.lease(worker);
    expect(lease.task_id).toBe(parent);
    return { worker, parent, lease };
  };
  const childrenOf = (parent: string) =>
    queue.rows<{ id: string; status: string; gate: string; params: Record<string, unknown> }>(
      "select * from tasks where parent_id = $1 order by vtime, id",
      [parent],
    );
  const finish = (lease: ClaimedTask, output: string | null = null) =>
    queue.rows("select func_mark_task_complete($1, $2, $3)", [lease.task_id, { video_url: output }, lease.lease_token]);
  const cancel = (id: string) => queue.rows("update tasks set status = 'Cancelled' where id = $1", [id]);

  it("are of the parent's project, pool and priority, and name it", async () => {
    const project = await queue.newProject();
    const { parent, lease } = await orchestrate({ project_id: project, priority: 3 });
    const [first, second] = [segment(), segment()];
    const chained = { ...second, dependant_on: first.id };
    expect(await delegate(lease, [first, chained], second.id)).toBe("delegated");
    expect(await childrenOf(parent)).toMatchObject([
      {
        id: first.id,
        gate: "open",
        project_id: project,
        pool,
        priority: 3,
        params: { prompt: "a lake", orchestrator_task_id_ref: parent },
      },
      { id: second.id, gate: "blocked", dependant_on: first.id },
    ]);
    expect(await queue.task(parent)).toMatchObject({
      status: "In Progress",
      result_data: { result_task_id: second.id },
    });
    await cancel(parent);
  });

  it("stay as they are when the parent is run again, and only those that are missing are added", async () => {
    const { worker, parent, lease } = await orchestrate();
    const [first, second] = [segment(), segment()];
    await queue.addTask(pool, {
      id: first.id,
      task_type: "travel_segment",
      params: { prompt: "written before", orchestrator_task_id_ref: parent },
    });
    expect(await delegate(lease, [first, second], second.id)).toBe("delegated");
    expect(await delegate(lease, [segment()], second.id)).toBe("delegated");
    const children = await childrenOf(parent);
    expect(children.map(({ id }) => id).toSorted()).toEqual([first.id, second.id].toSorted());
    expect(children.find(({ id }) => id === first.id)?.params).toMatchObject({ prompt: "written before" });
    expect((await queue.lease(worker)).task_id).toBe(first.id);
    await cancel(parent);
  });

  it("are refused as a whole when one cannot be written; the parent keeps its lease", async () => {
    const { parent, lease } = await orchestrate();
    const foreign = await queue.addTask(pool, { priority: -9 });
    const other = segment();
    const last = segment({ after_siblings: true });
    const refusals: [unknown, RegExp][] = [
      [{}, /p_sub_tasks: a list is expected/],
      [[segment(), 7], /p_sub_tasks\[1\]: an object is expected/],
      [[segment({ status: "Complete" } as object)], /p_sub_tasks\[0\]\.status: no field of a sub-task/],
      [[segment({ id: "segment-1" })], /p_sub_tasks\[0\]\.id: a UUID is expected/],
      [[segment({ task_type: "a b" })], /p_sub_tasks\[0\]\.task_type: 1 to 100 letters/],
      [[{ ...segment(), params: [] }], /p_sub_tasks\[0\]\.params: an object is expected/],
      [
        [segment({ params: { orchestrator_task_id_ref: foreign } })],
        /p_sub_tasks\[0\]\.params\.orchestrator_task_id_ref/,
      ],
      [
        [segment(), segment({ id: foreign })],
        new RegExp(`p_sub_tasks\\[1\\]\\.id: ${foreign} is taken by another task`),
      ],
      [[other, { ...segment(), id: other.id.toUpperCase() }], /p_sub_tasks\[1\]\.id: .* is given twice/],
      [[segment(), segment({ dependant_on: foreign })], /p_sub_tasks\[1\]\.dependant_on: .* is no sub-task of task/],
      [[segment({ dependant_on: "x" })], /p_sub_tasks\[0\]\.dependant_on: x is no sub-task/],
      [[last, segment({ after_siblings: true })], /p_sub_tasks\[1\]\.after_siblings: another sub-task has it/],
      [[other, { ...last, dependant_on: other.id }], /p_sub_tasks\[1\]\.dependant_on: it waits for all its siblings/],
      [[{ ...other, dependant_on: other.id }], /would wait for itself/],
      [Array.from({ length: 1001 }, () => segment()), /p_sub_tasks: at most 1000 sub-tasks are expected, not 1001/],
      [
        [segment({ params: { prompt: "x".repeat(17 * 1024 * 1024) } })],
        /p_sub_tasks: more than 262144 bytes \(limit json_bytes\)/,
      ],
    ];
    for (const [subTasks, reason] of refusals) {
      await expect(delegate(lease, subTasks)).rejects.toThrow(reason);
    }
    await expect(delegate(lease, [segment()], foreign)).rejects.toThrow(/p_result_task_id: .* is no sub-task/);
    expect(await delegate(lease, [])).toBe("no_children");
    expect(await childrenOf(parent)).toEqual([]);
    expect(await queue.finish(lease)).toBe("completed");
    expect(await delegate(lease, [segment()])).toBe("lease_lost");
    await cancel(foreign);
  });

  it("of a row that another project's transaction takes meanwhile are refused when it commits", async () => {
    const { parent, lease } = await orchestrate();
    const mine = segment();
    const [one, two] = [await queue.session(), await queue.session()];
    await one.rows("begin");
    await one.rows("insert into tasks (id, task_type, pool) values ($1, 't2v', 'elsewhere')", [mine.id]);
    const refused = two.call("delegate_task", { ...leaseArgs(lease), p_sub_tasks: JSON.stringify([mine]) });
    refused.catch(() => undefined);
    await queue.untilBlocked(two);
    await one.rows("commit");
    await expect(refused).rejects.toThrow(/p_sub_tasks\[0\]\.id: .* is taken by another task/);
    expect(await childrenOf(parent)).toEqual([]);
    await cancel(parent);
  });

  const ENDS: Readonly<Record<string, string | null>> = {
    "is cancelled": "update tasks set status = 'Cancelled' where id = $1",
    "is deleted": "delete from tasks where id = $1",
    completes: null,
  };
  it.each([
    ["is cancelled", "completes"],
    ["is cancelled", "is deleted"],
    ["is deleted", "completes"],
    ["is deleted", "is cancelled"],
  ])(
    "of a limited project do not deadlock with their parent that %s while one of them %s",
    async (parentEnd, oneEnd) => {
      const project = await queue.newProject({ max_running: 2 });
      const { worker, lease, parent } = await orchestrate({ project_id: project });
      expect(await delegate(lease, [segment(), segment(), segment()])).toBe("delegated");
      const running = await queue.lease(worker);
      const [limiting, ending, above] = [await queue.session(), await queue.session(), await queue.session()];
      await limiting.rows("begin");
      await limiting.rows("select from projects where id = $1 for no key update", [project]);
      const finishing = { ...leaseArgs(running), p_storage_path: null, p_output_location: null, p_result: {} };
      const statement = ENDS[oneEnd] ?? null;
      const ended =
        statement === null ? ending.call("finish_task", finishing) : ending.rows(statement, [running.task_id]);
      await queue.untilBlocked(ending);
      const parentEnded = above.rows(ENDS[parentEnd]!, [parent]);
      await queue.untilBlocked(above);
      await limiting.rows("commit");
      await Promise.all([ended, parentEnded]);
      const unfinished = "select id from tasks where project_id = $1 and status in ('Queued', 'In Progress')";
      expect(await queue.rows(unfinished, [project])).toEqual([]);
    },
  );

  describe("with one that waits for all others", () => {
    const fanOut = async (columns: Readonly<Record<string, unknown>> = {}) => {
      const run = await orchestrate(columns);
      const segments = [segment(), segment()];
      const stitch = segment({ task_type: "travel_stitch", after_siblings: true });
      expect(await delegate(run.lease, [stitch, ...segments], stitch.id)).toBe("delegated");
      return { ...run, segments: segments.map(({ id }) => id), stitch: stitch.id };
    };

    it("open it when the last of them completes, in any order, and it gives the parent its output", async () => {
      const { worker, parent, stitch } = await fanOut();
      const [one, two] = [await queue.lease(worker), await queue.lease(await queue.newWorker(pool))];
      await finish(two, "https://files.example/2.mp4");
      expect(await queue.task(stitch)).toMatchObject({ status: "Queued", gate: "blocked" });
      await finish(one, "https://files.example/1.mp4");
      const last = await queue.lease(worker);
      expect(last.task_id).toBe(stitch);
      await finish(last, "https://files.example/stitched.mp4");
      expect(await queue.task(parent)).toMatchObject({
        status: "Complete",
        output_location: "https://files.example/stitched.mp4",
      });
    });

    it("open it once when the last two complete at the same time, also in a project with a limit", async () => {
      for (const columns of [{}, { project_id: await queue.newProject({ max_running: 2 }) }]) {
        const { worker, parent, stitch } = await fanOut(columns);
        const [a, b] = [await queue.lease(worker), await queue.lease(await queue.newWorker(pool))];
        const [one, two] = [await queue.session(), await queue.session()];
        const end = { p_storage_path: null, p_output_location: null, p_result: {} };
        await one.rows("begin");
        await one.call("finish_task", { ...leaseArgs(a), ...end });
        const second = two.call("finish_task", { ...leaseArgs(b), ...end });
        await queue.untilBlocked(two);
        await one.rows("commit");
        expect(await second).toEqual({ outcome: "completed" });
        expect((await queue.lease(worker)).task_id).toBe(stitch);
        await cancel(parent);
      }
    });

    it("fail it with the first of them that fails, and the parent when the others have ended", async () => {
      const { worker, parent, segments, stitch } = await fanOut();
      const failing = await queue.lease(worker);
      await queue.fail(failing, "no such model", true);
      expect(await queue.task(stitch)).toMatchObject({
        status: "Failed",
        error_message: `depends on task ${failing.task_id}, which is Failed`,
        failed_by: failing.task_id,
      });
      expect(await queue.task(parent)).toMatchObject({ status: "In Progress" });
      await finish(await queue.lease(worker));
      expect(await queue.task(parent)).toMatchObject({ status: "Failed", failed_by: failing.task_id });
      // A retry brings the whole graph back.
      const retried = await queue.call("retry_task", { p_id: failing.task_id, p_reason: "the model is there now" });
      expect(retried).toMatchObject({ outcome: "reopened", reopened: 3 });
      expect(await queue.task(stitch)).toMatchObject({ status: "Queued", gate: "blocked" });
      expect(await queue.task(parent)).toMatchObject({ status: "In Progress" });
      const again = await queue.lease(worker);
      expect(segments).toContain(again.task_id);
      await finish(again);
      await finish(await queue.lease(worker), "https://files.example/after-retry.mp4");
      expect(await queue.task(parent)).toMatchObject({
        status: "Complete",
        output_location: "https://files.example/after-retry.mp4",
      });
    });

    it("fail it when one of them is cancelled or deleted, and a complete one cannot be deleted", async () => {
      const cancelled = await fanOut();
      await cancel(cancelled.segments[0]!);
      expect(await queue.task(cancelled.stitch)).toMatchObject({ status: "Failed" });
      await cancel(cancelled.parent);

      const deleted = await fanOut();
      await finish(await queue.lease(deleted.worker));
      const complete = await queue.one<{ id: string }>(
        "select id from tasks where parent_id = $1 and status = 'Complete'",
        [deleted.parent],
      );
      await expect(queue.rows("delete from tasks where id = $1", [complete.id])).rejects.toThrow(/uses its result/);
      const open = deleted.segments.find((id) => id !== complete.id);
      await queue.rows("delete from tasks where id = $1", [open]);
      expect(await queue.task(deleted.stitch)).toMatchObject({
        status: "Failed",
        error_message: `depends on task ${open}, which was deleted`,
      });
      expect(await queue.task(deleted.parent)).toMatchObject({ status: "Failed" });
    });

    it("open it by a repair where no trigger saw their end, and not before", async () => {
      const { worker, parent, segments, stitch } = await fanOut();
      expect(await queue.call("repair_tasks", {})).toMatchObject({ opened: [], failed: [] });
      await finish(await queue.lease(worker));
      await queue.rows("alter table tasks disable trigger user");
      await queue.rows("update tasks set status = 'Complete' where id = any ($1)", [segments]);
      await queue.rows("alter table tasks enable trigger user");
      expect(await queue.call("repair_tasks", {})).toMatchObject({ opened: [stitch] });
      expect((await queue.lease(worker)).task_id).toBe(stitch);
      await cancel(parent);
    });

    it("show in words what it waits for", async () => {
      const { parent, stitch } = await fanOut();
      const detail = await queue.one("select detail from normalized_task_status where task_id = $1", [stitch]);
      expect(detail).toEqual({ detail: `waits for all other sub-tasks of task ${parent}` });
      await cancel(parent);
    });
  });
});
