import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalDatabase } from "../../../src/task-file/database.ts";
import { type LocalDatabase } from "../../../src/task-file/local-database.ts";
import { insertTasks } from "../../../src/task-file/insert.ts";
import { endedAttempts } from "../../../src/task-file/read.ts";
import { cancelTask, reopenTask } from "../../../src/task-file/reopen.ts";
import { findTask, parsed } from "../../../src/task-file/rows.ts";
import { createSqliteQueue } from "../../../src/gpu-worker/queue/sqlite-queue.ts";
import { registerWorker } from "../../../src/task-file/workers.ts";
import type { QueueKind, QueueWorld } from "./world.ts";

const STUCK_SEC = 300;

/** The queue in a file. Each worker has a connection of its own, as each process has. */
export async function openSqliteKind(): Promise<QueueKind> {
  const folder = await mkdtemp(join(tmpdir(), "gpu-pool-sqlite-"));
  const opened: LocalDatabase[] = [];
  const open = (file: string) => {
    const database = openLocalDatabase(file);
    opened.push(database);
    return database;
  };
  return {
    name: "SQLite",
    newWorld: () => Promise.resolve(worldIn(join(folder, `${randomUUID()}.db`), open)),
    async close() {
      opened.forEach((database) => database.close());
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function worldIn(file: string, open: (file: string) => LocalDatabase): QueueWorld {
  const database = open(file);
  return {
    async newWorker() {
      const id = `box-${randomUUID().slice(0, 8)}`;
      const own = open(file);
      registerWorker(own, id, Date.now());
      const queue = createSqliteQueue({ database: own, workerId: id, types: null, stuckAfterSec: () => STUCK_SEC });
      await queue.heartbeat({ totalMb: null, usedMb: null });
      return { id, queue };
    },
    newProject: () => Promise.resolve(randomUUID()),
    add({ type = "generate_video", params = {}, priority = 0, project, dependsOn } = {}) {
      const id = randomUUID();
      const ground = { ...(project && { project_id: project }), ...(dependsOn && { dependant_on: dependsOn }) };
      insertTasks(database, [{ id, task_type: type, params, priority, ...ground }], Date.now());
      return Promise.resolve(id);
    },
    task(id) {
      const row = findTask(database, id)!;
      return Promise.resolve({
        status: row.status,
        attempts: row.attempts,
        worker: row.worker_id,
        error: row.error_message,
        output: row.output_location,
        result: parsed(row.result_data),
      });
    },
    causes: (id) => Promise.resolve(endedAttempts(database, id).map(({ cause }) => cause)),
    subTasks(id) {
      const rows = database.all<{ id: string; type: string; params: string; dependsOn: string | null }>(
        "select id, task_type as type, params, dependant_on as dependsOn from tasks where parent_id = ? order by vtime",
        id,
      );
      return Promise.resolve(rows.map((row) => ({ ...row, params: parsed(row.params) })));
    },
    async dies({ id }) {
      database.run("update workers set heartbeat_at_ms = 0 where id = ?", id);
      // Any other worker's claim notices it; the one of a worker that can do nothing takes no task.
      const observer = createSqliteQueue({ database, workerId: "observer", types: [], stuckAfterSec: () => STUCK_SEC });
      await observer.claim();
    },
    delaySec(id) {
      const atMs = findTask(database, id)?.delayed_until_ms ?? null;
      return Promise.resolve(atMs === null ? null : Math.round((atMs - Date.now()) / 1_000));
    },
    endDelay: (id) => Promise.resolve(void database.run("update tasks set delayed_until_ms = 0 where id = ?", id)),
    cancel: (id) => Promise.resolve(void cancelTask(database, id, Date.now())),
    retry: (id) => Promise.resolve(reopenTask(database, id, "put back: it works now", Date.now())),
  };
}
