import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fillQueue, fullScans, type PlanWatch, rowsScanned, type RunStatement, watchPlans } from "./plans.ts";
import { type Claim, leaseArgs, openQueue, type Queue } from "./queue.ts";

/** After this many calls Postgres keeps one plan for each statement of a function. */
const CALLS = 8;

/* oxlint-disable max-lines-per-function -- a test file for two sizes of the queue: each case is short */

/** Tests of the query plans of the queue's functions, for any size of the queue. */
export function describePlans(size: { readonly queued: number; readonly ended: number }): void {
  describe(`with ${size.queued} tasks queued`, () => {
    let queue: Queue;
    let watch: PlanWatch;
    let pools: string[];
    let project: string;
    beforeAll(async () => {
      queue = await openQueue();
      pools = await Promise.all(Array.from({ length: 3 }, () => queue.newPool()));
      project = (await fillQueue(queue, pools, size))[0]!;
      watch = await watchPlans(queue);
    }, 900_000);
    afterAll(async () => {
      await watch?.end();
      await queue?.close();
    });

    const theStatement = (statements: readonly RunStatement[], ...parts: string[]) => {
      const found = statements.filter(({ text }) => parts.every((part) => text.includes(part)));
      expect(found).toHaveLength(1);
      return found[0]!;
    };
    const usesIndex = (statement: RunStatement, index: string) =>
      expect(statement.nodes.map((node) => node["Index Name"])).toContain(index);

    it("a claim takes the head of one index, and a completion reads only its own rows", async () => {
      const workers = await queue.newWorkers(pools[1]!, CALLS);
      const touched: number[] = [];
      for (const worker of workers) {
        const head = await queue.one<{ id: string }>(
          `select id from tasks where status = 'Queued' and gate = 'open' and pool = $1
           order by priority desc, vtime, id limit 1`,
          [pools[1]],
        );
        const claim = await watch.run<{ answer: Claim }>("select claim_task($1) as answer", [worker]);
        const { task } = claim.rows[0]!.answer;
        expect(task).toMatchObject({ task_id: head.id, attempt: 1 });
        const first = theStatement(claim.statements, "from tasks", "skip locked");
        usesIndex(first, "tasks_open");
        expect(first.nodes.map((node) => node["Node Type"])).not.toContain("Sort");
        // The head, and at most the tasks that were claimed since the last vacuum.
        expect(rowsScanned([first], "tasks")).toBeLessThanOrEqual(CALLS);
        // The statement also writes the row and its index entries.
        expect(first.pages).toBeLessThan(200);
        expect(fullScans(claim.statements, "tasks")).toEqual([]);

        const { p_task_id, p_lease_token } = leaseArgs(task!);
        const finish = await watch.run("select finish_task($1, $2, null, null, '{}')", [p_task_id, p_lease_token]);
        expect(fullScans(finish.statements, "tasks")).toEqual([]);
        touched.push(claim.statements.at(-1)!.pages + finish.statements.at(-1)!.pages);
      }
      // Earlier calls also read the catalog to make their plans, so the last call counts.
      expect(touched.at(-1)).toBeLessThan(300);
    });

    it("a claim of a worker with types of its own reads the heads of these, and no task of another type", async () => {
      const types = ["vace", "t2v", "i2v", ...Array.from({ length: 30 }, (_, n) => `type ${n}`)];
      const own = await queue.addTasks(pools[1]!, CALLS, { task_type: "i2v" });
      let touched = 0;
      for (const worker of await queue.newWorkers(pools[1]!, CALLS, { task_types: types })) {
        const claim = await watch.run<{ answer: Claim }>("select claim_task($1) as answer", [worker]);
        expect(claim.rows[0]!.answer.task?.task_id).toBe(own.shift());
        usesIndex(theStatement(claim.statements, "with heads"), "tasks_open_type");
        // The heads, the first sixteen tasks of the line, and the head of the pool's whole line.
        expect(rowsScanned(claim.statements, "tasks")).toBeLessThan(100);
        expect(fullScans(claim.statements, "tasks")).toEqual([]);
        touched = claim.statements.at(-1)!.pages;
      }
      // Earlier calls also read the catalog to make their plans.
      expect(touched).toBeLessThan(400);
      const [idle] = await queue.newWorkers(pools[1]!, 1, { task_types: types });
      for (let call = 0; call < CALLS; call += 1) {
        const { rows, statements } = await watch.run<{ answer: Claim }>("select claim_task($1) as answer", [idle]);
        expect(rows[0]!.answer.task).toBeNull();
        expect(rowsScanned(statements, "tasks")).toBeLessThan(20);
        expect(fullScans(statements, "tasks")).toEqual([]);
      }
    });

    it("an observation for workers that can do little reads what they can do, and one task of each other type", async () => {
      await queue.addTasks(pools[0]!, 3, { task_type: "i2v" });
      for (let call = 0; call < CALLS; call += 1) {
        const { rows, statements } = await watch.run<{ answer: { queued: number; undone: unknown } }>(
          "select pool_observe($1, null, true, 30, p_task_types => '{i2v,t2v}') as answer",
          [pools[0]],
        );
        expect(rows[0]!.answer).toMatchObject({ queued: 3, undone: [{ task_type: "generate_video" }] });
        expect(fullScans(statements, "tasks")).toEqual([]);
        // The tasks that nobody can do are counted up to ten thousand.
        expect(
          rowsScanned(
            statements.filter(({ text }) => !text.includes("limit 10000")),
            "tasks",
          ),
        ).toBeLessThan(100);
      }
      await queue.rows("delete from tasks where pool = $1 and task_type = 'i2v'", [pools[0]]);
      await queue.rows("update pools set task_types = null where name = $1", [pools[0]]);
    });

    it("the count of an observation reads only its index, at most ten thousand entries", async () => {
      const queued = await queue.one<{ n: number }>(
        "select least(count(*), 10000)::int as n from tasks where status = 'Queued' and gate = 'open' and pool = $1",
        [pools[0]],
      );
      for (let call = 0; call < CALLS; call += 1) {
        const { rows, statements } = await watch.run<{ answer: { queued: number } }>(
          "select pool_observe($1, null, true, 30) as answer",
          [pools[0]],
        );
        expect(rows[0]!.answer.queued).toBe(queued.n);
        const count = theStatement(statements, "from tasks", "limit 10000");
        usesIndex(count, "tasks_open");
        expect(rowsScanned([count], "tasks")).toBe(queued.n);
        expect(count.pages).toBeLessThan(1_000);
        expect(fullScans(statements, "tasks")).toEqual([]);
      }
    });

    it("a measurement reads the head of the line and what its own workers held, however long queue and history are", async () => {
      // For the arrivals of a pool that was never measured, the queue is read once, at most ten thousand entries.
      const measure = () => watch.run("select pool_measure($1, 10, 'the fleet', true, 0, null, null)", [pools[1]]);
      await measure();
      for (let call = 0; call < CALLS; call += 1) {
        const { statements } = await measure();
        expect(fullScans(statements, "tasks")).toEqual([]);
        expect(rowsScanned(statements, "tasks")).toBeLessThan(1_000);
      }
    });

    it("an admission reads the head of the queue and the end of its project's tasks, and nothing else", async () => {
      for (let call = 0; call < CALLS; call += 1) {
        const { statements } = await watch.run(
          "insert into tasks (task_type, pool, project_id) values ('generate_video', $1, $2)",
          [pools[2], project],
        );
        usesIndex(theStatement(statements, "from unnest"), "tasks_project_line");
        // The head is read unless the project's last task stands in the same line.
        for (const head of statements.filter(({ text }) => text.includes("select vtime"))) {
          usesIndex(head, "tasks_open");
        }
        expect(fullScans(statements, "tasks")).toEqual([]);
        expect(rowsScanned(statements, "tasks")).toBeLessThanOrEqual(10);
      }
    });

    it("a worker of the old protocol creates sub-tasks and reads them and its own task by indexes", async () => {
      const [worker] = await queue.newWorkers(pools[1]!, 1);
      const { task_id: parent } = await queue.lease(worker!);
      const task = { task_type: "t2v", params: { orchestrator_task_id_ref: parent } };
      for (let call = 0; call < CALLS; call += 1) {
        const { statements } = await watch.run("select api_create_task($1)", [{ ...task, project_id: project }]);
        expect(fullScans(statements, "tasks")).toEqual([]);
        expect(rowsScanned(statements, "tasks")).toBeLessThanOrEqual(20);
      }
      for (const [argument, value] of [
        ["p_id", parent],
        ["p_parent_id", parent],
        ["p_worker_id", worker],
      ]) {
        const { statements } = await watch.run(`select * from api_read_tasks(${argument} => $1)`, [value]);
        expect(fullScans(statements, "tasks")).toEqual([]);
        expect(rowsScanned(statements, "tasks")).toBeLessThanOrEqual(CALLS);
      }
    });

    it("a user's own machine reads tasks of its user's projects, and walks past nobody else's", async () => {
      const user = randomUUID();
      const own = await queue.newProject({ user_id: user });
      await watch.run("select set_config('request.jwt.claims', $1, false)", [JSON.stringify({ sub: user })]);
      await watch.run("set role authenticated");
      const claim = async () => {
        const { rows, statements } = await watch.run<{ answer: Claim }>(
          "select api_claim_task('laptop', '{t2v}') as answer",
        );
        expect(fullScans(statements, "tasks")).toEqual([]);
        return { task: rows[0]!.answer.task, read: rowsScanned(statements, "tasks") };
      };
      for (let call = 0; call < CALLS; call += 1) {
        expect(await claim()).toEqual({ task: null, read: 0 });
      }
      await queue.addTasks(pools[0]!, 3, { task_type: "vace", project_id: own, priority: 9 });
      const id = await queue.addTask(pools[2]!, { task_type: "t2v", project_id: own });
      const { task, read } = await claim();
      expect(task?.task_id).toBe(id);
      // Its user's four tasks are read twice, and the claimed one to lease it.
      expect(read).toBeLessThan(20);
      await watch.run("reset role");
    });
  });
}
