import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimNext } from "../../../src/task-file/claims.ts";
import { openLocalDatabase } from "../../../src/task-file/database.ts";
import type { LocalDatabase } from "../../../src/task-file/local-database.ts";
import { delegateTask } from "../../../src/task-file/delegate.ts";
import { type NewLocalTask, insertTasks } from "../../../src/task-file/insert.ts";
import { findTask } from "../../../src/task-file/rows.ts";
import { registerWorker } from "../../../src/task-file/workers.ts";

describe("a file of tasks that other programs change", () => {
  let folder: string;
  let database: LocalDatabase;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gpu-pool-others-"));
    database = openLocalDatabase(join(folder, "tasks.db"));
    registerWorker(database, "box", Date.now());
  });
  afterEach(() => {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const claim = () =>
    database.write(() =>
      claimNext(database, { workerId: "box", types: null, stuckAfterSec: () => 3600 }, Date.now(), false),
    ).task;
  const add = (...tasks: (Partial<NewLocalTask> & { id: string })[]) =>
    insertTasks(
      database,
      tasks.map((task) => ({ task_type: "wgp", params: {}, ...task })),
      Date.now(),
    );
  const remove = (id: string) => database.run("delete from tasks where id = ?", id);
  const state = (id: string) => findTask(database, id)?.status;
  /** A task that waits for two sub-tasks, and one that waits for all its siblings. */
  const delegated = () => {
    add({ id: "parent", task_type: "travel_orchestrator" });
    const row = { taskType: "wgp", params: {}, dependantOn: null };
    const rows = [
      { ...row, id: "one" },
      { ...row, id: "two" },
      { ...row, id: "last", afterSiblings: true },
    ];
    const parent = claim()!;
    database.write(() => delegateTask(database, parent, rows, "last", Date.now()));
  };

  it("cancels the sub-tasks of a deleted task, also one that a worker has, and keeps nothing else of it", () => {
    delegated();
    expect(claim()?.id).toBe("one");
    database.run("insert into service_requests values ('parent', 'replicate', 1, 'p1', null, 0)");
    remove("parent");
    expect(["one", "two", "last"].map(state)).toEqual(["Cancelled", "Cancelled", "Cancelled"]);
    expect(findTask(database, "one")).toMatchObject({ lease_token: null });
    expect(database.all("select 1 from ended_attempts where task_id = 'parent'")).toEqual([]);
    expect(database.all("select 1 from service_requests")).toEqual([]);
    expect(claim()).toBeNull();
  });

  it("fails the sub-task that waits for a deleted sibling, and its orchestrator task with the next claim", () => {
    delegated();
    remove("one");
    expect(findTask(database, "last")).toMatchObject({
      status: "Failed",
      error_message: "depends on task one, which was deleted",
    });
    expect(claim()?.id).toBe("two");
    remove("two");
    expect(claim()).toBeNull();
    expect(state("parent")).toBe("Failed");
  });

  it("takes no task that waits for itself, and fails a sub-task that waits for its orchestrator task over another task", () => {
    expect(() => add({ id: "self", dependant_on: "self" })).toThrow("cannot wait for itself");
    delegated();
    add({ id: "between", dependant_on: "parent" }, { id: "behind", dependant_on: "between", parent_id: "parent" });
    expect(findTask(database, "behind")).toMatchObject({
      status: "Failed",
      error_message: "depends on its own orchestrator task parent, which waits for it",
    });
  });

  it("forgets workers that were killed long ago, unless they hold a task", () => {
    add({ id: "held" });
    expect(claim()?.id).toBe("held");
    registerWorker(database, "old", Date.now());
    database.run("update workers set heartbeat_at_ms = 0");
    registerWorker(database, "new", Date.now());
    expect(database.all<{ id: string }>("select id from workers order by id").map(({ id }) => id)).toEqual([
      "box",
      "new",
    ]);
  });

  it("may be written again when the disk is full no more", () => {
    const [{ page_count: pages } = { page_count: 0 }] = database.all<{ page_count: number }>("pragma page_count");
    database.all(`pragma max_page_count = ${pages}`);
    const params = { prompt: "x".repeat(100_000) };
    expect(() => add({ id: "large", params })).toThrow(expect.objectContaining({ isBusy: true }));
    database.all("pragma max_page_count = 1000000");
    add({ id: "large", params });
    expect(claim()?.id).toBe("large");
  });
});
