import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { connect } from "../../../src/gpu-worker/queue/connection.ts";
import { createOutages } from "../../../src/gpu-worker/queue/outages.ts";
import { createPostgresQueue } from "../../../src/gpu-worker/queue/postgres-queue.ts";
import { openQueueApi, type QueueApi } from "../queue-api.ts";
import type { QueueKind, QueueWorld } from "./world.ts";

/** The queue of the database functions, over PostgREST, with the workers' own tokens. */
export async function openPostgresKind(): Promise<QueueKind> {
  const api = await openQueueApi();
  // What is tested here is the queue: its tasks end without files.
  await api.queue.rows("update task_types set needs_file = false");
  return { name: "Postgres", newWorld: async () => worldIn(api, await api.queue.newPool()), close: () => api.close() };
}

function worldIn(api: QueueApi, pool: string): QueueWorld {
  const { queue } = api;
  return {
    async newWorker() {
      const [id, token] = [await queue.newWorker(pool), randomUUID()];
      await api.giveToken(id, token);
      const settings = { supabaseUrl: api.url, supabaseKey: api.keys.anonKey, workerToken: token };
      const outages = createOutages(pino({ level: "silent" }));
      return { id, queue: createPostgresQueue(connect(settings), id, outages) };
    },
    newProject: () => queue.newProject(),
    async add({ type = "generate_video", params = {}, priority = 0, project, dependsOn } = {}) {
      const ground = { ...(project && { project_id: project }), ...(dependsOn && { dependant_on: dependsOn }) };
      return await queue.addTask(pool, { task_type: type, params, priority, ...ground });
    },
    task: (id) =>
      queue.one(
        `select status, attempts, worker_id as worker, error_message as error, output_location as output,
           result_data as result from tasks where id = $1`,
        [id],
      ),
    async causes(id) {
      const attempts = "select cause from task_attempts where task_id = $1 and cause is not null order by attempt";
      return (await queue.rows<{ cause: string }>(attempts, [id])).map(({ cause }) => cause);
    },
    subTasks: (id) =>
      queue.rows(
        `select id, task_type as type, params, dependant_on as "dependsOn" from tasks where parent_id = $1 order by vtime`,
        [id],
      ),
    async dies({ id }) {
      await queue.rows(
        `select close_attempt(id, leases, 'worker_died', 'worker ' || worker_id || ' died') from tasks
         where worker_id = $1 and lease_token is not null and lease_ended_at is null`,
        [id],
      );
    },
    async delaySec(id) {
      const delay = "select round(extract(epoch from delayed_until - now()))::int as sec from tasks where id = $1";
      return (await queue.one<{ sec: number | null }>(delay, [id])).sec;
    },
    async endDelay(id) {
      await queue.rows("update tasks set delayed_until = now() where id = $1", [id]);
    },
    async cancel(id) {
      await queue.rows("update tasks set status = 'Cancelled' where id = $1", [id]);
    },
    retry: (id) => queue.call("retry_task", { p_id: id, p_reason: "put back: it works now" }),
  };
}
