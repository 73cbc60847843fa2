import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimNext } from "../../../src/task-file/claims.ts";
import { openLocalDatabase } from "../../../src/task-file/database.ts";
import { type LocalDatabase } from "../../../src/task-file/local-database.ts";
import { deleteTaskFile } from "../../../src/task-file/delete-file.ts";
import { insertTasks } from "../../../src/task-file/insert.ts";
import { endedAttempts } from "../../../src/task-file/read.ts";
import { findTask } from "../../../src/task-file/rows.ts";
import { registerWorker, removeWorker } from "../../../src/task-file/workers.ts";

describe("the workers of a file of tasks", () => {
  let folder: string;
  let database: LocalDatabase;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gpu-pool-workers-"));
    database = openLocalDatabase(join(folder, "tasks.db"));
  });
  afterEach(() => {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const stuckAfterSec = (type: string) => (type === "travel_segment" ? 7_200 : 300);
  const claim = (workerId: string, nowMs = Date.now()) =>
    database.write(() => claimNext(database, { workerId, types: null, stuckAfterSec }, nowMs, true)).task;
  const held = (workerId: string) => {
    insertTasks(database, [{ id: "one", task_type: "wgp", params: {} }], Date.now());
    registerWorker(database, workerId, Date.now());
    return claim(workerId);
  };
  /** Lets the row say that another process runs the worker. */
  const runAs = (workerId: string, pid: number) =>
    database.run("update workers set pid = ?, started = null where id = ?", pid, workerId);

  it("lose their tasks at once when their process is gone, and only then when they beat", async () => {
    held("first");
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    runAs("first", child.pid ?? 0);
    registerWorker(database, "second", Date.now());
    expect(claim("second")).toBeNull();
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(claim("second")).toMatchObject({ id: "one", leases: 2, worker_id: "second" });
  });

  it("lose their tasks when they have not beaten for 90 s, although their process is there", () => {
    held("first");
    registerWorker(database, "second", Date.now());
    expect(claim("second", Date.now() + 80_000)).toBeNull();
    expect(claim("second", Date.now() + 100_000)).toMatchObject({ id: "one", leases: 2 });
  });

  it("lose a task that makes no progress for the limit of its type, which counts, although they beat", () => {
    const startedMs = Date.now();
    const begin = (id: string, type: string) => {
      insertTasks(database, [{ id, task_type: type, params: {} }], startedMs);
      registerWorker(database, `of ${id}`, startedMs);
      return claim(`of ${id}`, startedMs);
    };
    begin("slow", "travel_segment");
    begin("moving", "wgp");
    begin("hung", "wgp");
    const seen = (id: string, sec: number) => {
      const nowMs = startedMs + sec * 1_000;
      database.run("update workers set heartbeat_at_ms = ?", nowMs);
      registerWorker(database, id, nowMs);
      return claim(id, nowMs);
    };
    expect(seen("second", 290)).toBeNull();
    database.run("update tasks set progress = 0.1, progress_at_ms = ? where id = 'moving'", startedMs + 290_000);
    expect(seen("second", 310)).toMatchObject({ id: "hung", attempts: 2, worker_id: "second" });
    expect(endedAttempts(database, "hung")).toMatchObject([
      { cause: "stuck", error: "no progress for 310 s (stuck after 300 s)", worker_id: "of hung" },
    ]);
    expect(seen("third", 600)).toMatchObject({ id: "moving" });
    expect(findTask(database, "slow")).toMatchObject({ worker_id: "of slow", attempts: 1 });
    expect(seen("fourth", 7_300)).toMatchObject({ attempts: 2 });
  });

  it("have ids of their own: a second process with the id of a living one is refused, one after its death goes on", () => {
    const lease = held("first");
    runAs("first", process.ppid);
    expect(() => registerWorker(database, "first", Date.now())).toThrow(/worker first runs already as process \d+/);
    runAs("first", 2 ** 22 + 1);
    registerWorker(database, "first", Date.now());
    expect(claim("first")).toMatchObject({ id: "one", lease_token: lease?.lease_token });
  });

  it("take only tasks of types that they can do", () => {
    insertTasks(database, [{ id: "a", task_type: "comfy", params: {} }], Date.now());
    insertTasks(database, [{ id: "b", task_type: "wgp", params: {} }], Date.now());
    registerWorker(database, "w", Date.now());
    const types = ["wgp", "vace"];
    const take = () =>
      database.write(() => claimNext(database, { workerId: "w", types, stuckAfterSec }, Date.now(), true)).task?.id;
    expect(take()).toBe("b");
    database.run("update tasks set status = 'Complete' where id = 'b'");
    expect(take()).toBeUndefined();
    expect(findTask(database, "a")).toMatchObject({ status: "Queued", attempts: 0 });
  });

  it("keep their file from being deleted", () => {
    registerWorker(database, "w", Date.now());
    expect(() => deleteTaskFile(database.file)).toThrow(/not deleted, because worker w uses it/);
    removeWorker(database, "w");
    deleteTaskFile(database.file);
    expect(() => openLocalDatabase(database.file).close()).not.toThrow();
  });
});
