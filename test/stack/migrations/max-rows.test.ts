import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { alertStore } from "../../../src/supabase/alert-store.ts";
import { connectDatabase, type Database } from "../../../src/supabase/client.ts";
import { fleetStore } from "../../../src/supabase/fleet/fleet-store.ts";
import { journalStore } from "../../../src/supabase/journal-store.ts";
import { createLogReader } from "../../../src/supabase/log-reader.ts";
import { notificationStore } from "../../../src/supabase/notification-store.ts";
import { outboxStore } from "../../../src/supabase/outbox-store.ts";
import { taskStore } from "../../../src/supabase/task-store.ts";
import { readView } from "../../../src/supabase/views.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

/** A row more than two full pages, so that a list that ends early shows it. */
const ROWS = 7;

describe("a project that answers at most three rows", () => {
  let api: QueueApi;
  let database: Database;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi({ maxRows: 3 });
    database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
  });
  beforeEach(async () => {
    pool = await api.queue.newPool();
  });
  afterAll(() => api?.close());

  const rows = (statement: string, values: unknown[] = []) => api.queue.rows(statement, values);

  it("reads all tasks of a pool, the newest first, and as many of them as were asked for", async () => {
    const ids = await api.queue.addTasks(pool, ROWS);
    // Times that are equal, and times that differ by less than a millisecond.
    await rows("update tasks set created_at = '2026-01-01T00:00:00.000005Z' where id = any($1)", [ids.slice(0, 4)]);
    await rows("update tasks set created_at = '2026-01-01T00:00:00.000001Z' where id = any($1)", [ids.slice(4)]);
    const tasks = await taskStore(database).getTasks({ pool });
    expect(tasks.map(({ id }) => id)).toEqual([...ids.slice(0, 4).toSorted(), ...ids.slice(4).toSorted()]);
    const some = await taskStore(database).getTasks({ pool, limit: 5 });
    expect(some.map(({ id }) => id)).toEqual(tasks.slice(0, 5).map(({ id }) => id));
  });

  it("finds every task that submit waits for", async () => {
    const ids = await api.queue.addTasks(pool, ROWS);
    const states = await taskStore(database).states(ids);
    expect(states.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(await taskStore(database).count({ pool, status: "Queued", gate: "open" })).toBe(ROWS);
  });

  it("reads all workers, the living ones and what the others cost", async () => {
    const ids = await api.queue.newWorkers(pool, ROWS);
    expect((await fleetStore(database).getWorkers({ pool })).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(await fleetStore(database).living(pool)).toHaveLength(ROWS);
    await rows("update workers set cost_usd = 0.5 where pool = $1", [pool]);
    expect(await fleetStore(database).bookedCost(pool)).toBe(ROWS * 0.5);
  });

  it("reads the journal to its end, and as many decisions as were asked for", async () => {
    await rows(
      "insert into pool_events (pool, kind, reason) select $1, 'decision', n::text from generate_series(1, $2) n",
      [pool, ROWS],
    );
    const journal = journalStore(database);
    expect((await journal.since(pool, 0)).map(({ reason }) => reason)).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
    expect((await journal.decisions(pool, 5)).map(({ reason }) => reason)).toEqual(["7", "6", "5", "4", "3"]);
    expect(await journal.decisions(pool, 50)).toHaveLength(ROWS);
  });

  it("reads a worker's last tasks, whether they failed or not, its diagnostics, and a pool's last messages", async () => {
    const worker = await api.queue.newWorker(pool);
    const ids = await api.queue.addTasks(pool, ROWS + 4);
    for (const [place] of ids.entries()) {
      const lease = await api.queue.lease(worker);
      await (place % 2 === 0 ? api.queue.finish(lease) : api.queue.fail(lease, "no", true));
    }
    const held = await fleetStore(database).lastHeld(worker, ROWS + 2);
    expect(held.map(({ task_id: id }) => id)).toEqual(ids.toReversed().slice(0, ROWS + 2));
    await rows(
      "insert into pool_events (pool, kind, reason) select $1, 'message.scale', n::text from generate_series(1, $2) n",
      [pool, ROWS],
    );
    const journal = journalStore(database);
    const messages = (await journal.messages(pool, 5)).map(({ kind, reason }) => `${kind} ${reason}`);
    expect(messages).toEqual(["scale 7", "scale 6", "scale 5", "scale 4", "scale 3"]);
    await rows("insert into worker_diagnostics (worker_id, reason) select $1, n::text from generate_series(1, $2) n", [
      worker,
      ROWS,
    ]);
    expect(await journal.diagnostics(worker, 5)).toHaveLength(5);
  });

  it("reads all log lines that match, old ones and new ones", async () => {
    const log = async (message: string) =>
      await rows(
        `insert into system_logs (timestamp, source_type, source_id, log_level, message, worker_id)
         select now(), 'worker', $1, 'INFO', $2 || n, $1 from generate_series(1, $3) n`,
        [pool, message, ROWS],
      );
    await log("old");
    const reader = createLogReader(database, { worker: pool });
    expect((await reader.latest(5)).map(({ message }) => message)).toEqual(["old3", "old4", "old5", "old6", "old7"]);
    await log("new");
    expect(await reader.next()).toHaveLength(ROWS);
    expect(await createLogReader(database, { worker: pool }).latest(100)).toHaveLength(2 * ROWS);
  });

  it("reads each view to its end, whatever the values of its key", async () => {
    const types = ['a"b', "a,b", "a\\b", "a.b", "(a)", "null", "ä"];
    for (const type of types) {
      await rows("insert into tasks (task_type, pool, params) values ($1, $2, '{}')", [type, pool]);
    }
    const queue = (await readView(database, "task_queue_analysis")).filter((row) => row.pool === pool);
    expect(new Set(queue.map(({ task_type: type }) => type))).toEqual(new Set(types));
    const ids = await api.queue.newWorkers(pool, ROWS);
    const performance = (await readView(database, "worker_performance")).filter((row) => row.pool === pool);
    expect(new Set(performance.map(({ worker_id: id }) => id))).toEqual(new Set(ids));
  });

  it("loses no notification that it took from the outbox, and lists endpoints and what was given up", async () => {
    const store = notificationStore(database);
    for (let n = 0; n < ROWS; n += 1) {
      const { id } = await store.addEndpoint({ url: `https://example.com/${n}`, pool, kinds: ["task.completed"] });
      await rows("insert into outbox (kind, payload, endpoint_id) values ('task.completed', '{}', $1)", [id]);
    }
    expect((await store.endpoints()).filter((endpoint) => endpoint.pool === pool)).toHaveLength(ROWS);
    expect(await outboxStore(database).take(100)).toHaveLength(ROWS);
    await rows("update outbox set dead_at = now(), attempts = 10");
    expect(await store.givenUp()).toHaveLength(ROWS);
    expect(await store.retry("all")).toBe(ROWS);
  });

  it("lists all open alerts, the newest first", async () => {
    for (let n = 1; n <= ROWS; n += 1) {
      await rows("select open_alert('queue_waiting', $1, $2, 'it waits')", [`${pool}-${n}`, pool]);
    }
    const alerts = await alertStore(database).list({ pool });
    expect(alerts.map(({ subject }) => subject)).toEqual([7, 6, 5, 4, 3, 2, 1].map((n) => `${pool}-${n}`));
  });

  it("answers all segments of a run, of any project under the service key", async () => {
    await rows(
      `insert into tasks (task_type, pool, params)
       select 'travel_segment', $1, jsonb_build_object('orchestrator_run_id', $1::text, 'segment_index', n)
       from generate_series(1, $2) n`,
      [pool, ROWS],
    );
    await rows("update tasks set status = 'Complete', output_location = 'x' where pool = $1", [pool]);
    const answer = await fetch(`${api.url}/functions/v1/get-completed-segments`, {
      method: "POST",
      headers: { authorization: `Bearer ${api.keys.serviceRoleKey}`, "content-type": "application/json" },
      body: JSON.stringify({ run_id: pool }),
    });
    const segments = (await answer.json()) as { segment_index: number }[];
    expect(segments.map(({ segment_index: index }) => index)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});
