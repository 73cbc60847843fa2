import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Libsql from "libsql";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimNext } from "../../../src/task-file/claims.ts";
import { openLocalDatabase } from "../../../src/task-file/database.ts";
import { listTasks } from "../../../src/task-file/read.ts";
import { registerWorker } from "../../../src/task-file/workers.ts";

/** As the worker of August 2025 made it. */
const OLD_TABLE = `create table tasks (
  id text primary key, params text not null, task_type text not null, status text not null default 'Queued',
  worker_id text, created_at timestamp default current_timestamp, updated_at timestamp, dependant_on text,
  output_location text, project_id text not null, generation_started_at timestamp, generation_processed_at timestamp)`;

const W = { workerId: "w", types: null, stuckAfterSec: () => 300 };

describe("an older file of tasks", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gpu-pool-old-"));
    file = join(folder, "tasks.db");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function makeOld(rows: readonly Readonly<Record<string, string | null>>[]): void {
    const old = new Libsql(file);
    old.exec(OLD_TABLE);
    for (const row of rows) {
      const values = { params: "{}", task_type: "wgp", project_id: "p", status: "Queued", ...row };
      const names = Object.keys(values);
      const marks = names.map(() => "?").join(", ");
      old.prepare(`insert into tasks (${names.join(", ")}) values (${marks})`).run(...Object.values(values));
    }
    old.close();
  }

  it("keeps every row with its columns, queues again what was begun, and gives tasks in their old order", () => {
    const refers = JSON.stringify({ orchestrator_task_id_ref: "parent" });
    makeOld([
      { id: "done", status: "Complete", output_location: "files/a.mp4", created_at: "2025-08-01 10:00:00" },
      { id: "bad", status: "Failed", output_location: "no model" },
      { id: "second", created_at: "2025-08-02 10:00:00" },
      { id: "begun", status: "In Progress", generation_started_at: "2025-08-02 11:00:00" },
      { id: "parent", status: "In Progress", task_type: "travel_orchestrator" },
      { id: "child", params: refers, dependant_on: "done" },
      { id: "broken", params: "{not json", dependant_on: "child" },
    ]);
    const database = openLocalDatabase(file);
    const rows = new Map(listTasks(database, { limit: 100 }).map((row) => [row.id, row]));
    expect(rows.size).toBe(7);
    expect(rows.get("done")).toMatchObject({
      status: "Complete",
      output_location: "files/a.mp4",
      created_at: "2025-08-01 10:00:00",
      project_id: "p",
    });
    expect(rows.get("bad")).toMatchObject({ status: "Failed", output_location: "no model", error_message: "no model" });
    expect(rows.get("begun")).toMatchObject({ status: "Queued", attempts: 0, generation_started_at: null });
    expect(rows.get("parent")).toMatchObject({ status: "In Progress" });
    expect(rows.get("child")).toMatchObject({ parent_id: "parent", gate: "open" });
    expect(rows.get("broken")).toMatchObject({ params: "{not json", gate: "blocked" });

    registerWorker(database, "w", Date.now());
    const claim = () => database.write(() => claimNext(database, W, Date.now(), true)).task;
    const order = [];
    for (let task = claim(); task !== null; task = claim()) {
      order.push(task.id);
      database.run("update tasks set status = 'Complete' where id = ?", task.id);
    }
    expect(order).toEqual(["second", "begun", "child", "broken"]);
    expect(listTasks(database, { limit: 9, status: ["Complete"] }).map(({ id }) => id)).toContain("parent");
    database.close();
  });

  it("is changed once: what a worker holds stays its own when the file is opened again", () => {
    makeOld([{ id: "one" }]);
    const database = openLocalDatabase(file);
    registerWorker(database, "w", Date.now());
    const claimed = database.write(() => claimNext(database, W, Date.now(), true)).task;
    const again = openLocalDatabase(file);
    expect(listTasks(again, { limit: 1 })[0]).toMatchObject({
      status: "In Progress",
      lease_token: claimed?.lease_token,
    });
    again.close();
    database.close();
  });

  it("is refused, unchanged, when a newer program made it or it is no queue of tasks", () => {
    const newer = new Libsql(file);
    newer.pragma("user_version = 99");
    newer.close();
    expect(() => openLocalDatabase(file)).toThrow(/made by a newer gpu-pool \(its version is 99, this one knows 1\)/);
    const other = join(folder, "other.db");
    const strange = new Libsql(other);
    strange.exec("create table tasks (name text)");
    strange.close();
    expect(() => openLocalDatabase(other)).toThrow(/its table tasks has no column id: it is no task queue/);
    const check = new Libsql(other);
    expect(check.prepare("select count(*) as n from sqlite_master").get()).toMatchObject({ n: 1 });
    check.close();
  });

  it("admits what another program inserts, whatever columns it names", () => {
    const database = openLocalDatabase(file);
    const other = new Libsql(file);
    const insert = other.prepare("insert into tasks (id, task_type, params, project_id) values (?, 'wgp', ?, 'p')");
    insert.run("parent", "{}");
    insert.run("child", JSON.stringify({ orchestrator_task_id_ref: "parent" }));
    insert.run("broken", "{not json");
    other.close();
    const rows = listTasks(database, { limit: 9 });
    expect(rows.map(({ id, parent_id: parent, gate }) => [id, parent, gate])).toEqual([
      ["broken", null, "open"],
      ["child", "parent", "open"],
      ["parent", null, "open"],
    ]);
    expect(rows.every(({ created_at: at }) => at !== null && /^20\d\d-\d\d-\d\dT.*Z$/.test(at))).toBe(true);
    database.close();
  });
});
