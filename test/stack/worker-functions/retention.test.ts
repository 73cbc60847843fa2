import { randomUUID } from "node:crypto";
import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRetentionActivities } from "../../../src/activities/retention.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { janitorStore } from "../../../src/supabase/janitor-store.ts";
import { logStore } from "../../../src/supabase/log-store.ts";
import { outboxStore } from "../../../src/supabase/outbox-store.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const NEVER = {
  logsHours: 0,
  notificationsHours: 0,
  journalDays: 0,
  diagnosticsDays: 0,
  alertsDays: 0,
  attemptsDays: 0,
  workersDays: 0,
  filesDays: 0,
};

describe("tables that only grow", () => {
  let api: QueueApi;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    pool = await api.queue.newPool();
  });
  afterAll(() => api?.close());

  const count = async (table: string, where = "true") =>
    (await api.queue.one<{ n: number }>(`select count(*)::int as n from ${table} where ${where}`)).n;
  const clean = async (retention: Partial<typeof NEVER>) => {
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    const activities = createRetentionActivities({
      config: { retention: { ...NEVER, ...retention }, supabase: { videoBucket: "videos" } as never },
      logs: logStore(database),
      outbox: outboxStore(database),
      janitor: janitorStore(database),
    });
    const within = async <T>(activity: () => Promise<T>) =>
      await asyncLocalStorage.run({ heartbeat: () => undefined, info: {} } as unknown as Context, activity);
    return {
      logs: await within(activities.cleanUpLogs),
      outbox: await within(activities.cleanUpOutbox),
      tables: await within(activities.cleanUpTables),
      files: await within(activities.cleanUpFiles),
    };
  };

  it("lose what is older than its setting, in parts, and nothing else; 0 keeps everything", async () => {
    const { queue } = api;
    await queue.rows(
      `insert into pool_events (pool, kind, reason, at)
       select $1, 'aged', age::text, now() - make_interval(days => age)
       from generate_series(1, 4500) as n, lateral (select case when n <= 4100 then 31 else 29 end as age) as a`,
      [pool],
    );
    await queue.rows(`insert into worker_diagnostics (worker_id, reason, collected_at)
      select 'w', age::text, now() - make_interval(days => age) from unnest(array[29, 31]) as age`);
    await queue.rows(
      `insert into alerts (kind, subject, pool, message, opened_at, closed_at)
       select 'pool_silent', coalesce(age::text, 'open'), $1, 'silent', now() - interval '1 year', now() - make_interval(days => age)
       from unnest(array[89, 91, null]) as age`,
      [pool],
    );
    expect((await clean({})).tables).toEqual({
      pool_events: 0,
      worker_diagnostics: 0,
      alerts: 0,
      pool_minutes: 0,
      worker_processes: 0,
      task_attempts: 0,
      service_requests: 0,
      workers: 0,
    });
    await queue.rows(
      `insert into pool_minutes select $1, date_trunc('minute', now() - make_interval(days => age)), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
         null, 0, 0, null, 0 from unnest(array[89, 91, 92]) as age`,
      [pool],
    );
    await queue.rows(`insert into worker_processes (id, host, version, task_queue, seen_at)
      select gen_random_uuid(), 'host', '1', 'q', now() - make_interval(hours => age) from unnest(array[23, 25]) as age`);
    const { tables } = await clean({ journalDays: 30, diagnosticsDays: 30, alertsDays: 90 });
    const gone = { pool_events: 4100, worker_diagnostics: 1, alerts: 1, pool_minutes: 2, worker_processes: 1 };
    expect(tables).toMatchObject(gone);
    expect(await count("pool_minutes")).toBe(1);
    expect(await count("pool_events", "reason = '29' and kind = 'aged'")).toBe(400);
    expect(await count("worker_diagnostics")).toBe(1);
    expect(await count("alerts", "kind = 'pool_silent'")).toBe(2);
  });

  it("keep the attempts that a running task needs, the workers that anything needs, and each pool's last known price", async () => {
    const { queue } = api;
    const worker = await queue.newWorker(pool);
    const [done, running] = [await queue.addTask(pool), await queue.addTask(pool)];
    await queue.finish(await queue.lease(worker));
    await queue.release(await queue.lease(worker));
    const other = await queue.newWorker(pool);
    await queue.lease(other);
    await queue.rows(
      `update workers set gone_at = now() - interval '91 days', status = 'terminated', cost_per_hr_usd = 0.5,
         created_at = now() - interval '92 days' where id = $1`,
      [worker],
    );
    const older = await queue.newWorker(pool, {
      status: "terminated",
      gone_at: new Date(Date.now() - 100 * 86_400_000),
      created_at: new Date(Date.now() - 101 * 86_400_000),
      cost_per_hr_usd: 0.4,
    });
    await queue.rows(
      "update ended_attempts set started_at = now() - interval '95 days', ended_at = now() - interval '95 days'",
    );
    await queue.rows("alter table tasks disable trigger user");
    await queue.rows(
      `update tasks set updated_at = now() - interval '95 days',
         lease_ended_at = case when lease_ended_at is not null then now() - interval '95 days' end`,
    );
    await queue.rows("alter table tasks enable trigger user");

    await queue.rows(
      `insert into service_requests (task_id, service, attempt, asked_at)
       values ($1, 'replicate', 1, now() - interval '95 days'), ($2, 'replicate', 1, now() - interval '95 days')`,
      [done, running],
    );

    // The running task's ended attempt holds the worker's row, and the pool's last price another one's.
    expect((await clean({ attemptsDays: 90, workersDays: 90 })).tables).toMatchObject({
      task_attempts: 1,
      service_requests: 1,
      workers: 1,
    });
    expect(await count("service_requests", `task_id = '${running}'`)).toBe(1);
    expect(await count("workers", `id = '${older}'`)).toBe(0);
    expect(await count("task_attempts", `task_id = '${done}'`)).toBe(0);
    expect(await count("task_attempts", `task_id = '${running}'`)).toBe(2);

    await queue.newWorker(pool, { cost_per_hr_usd: 0.6 });
    await queue.rows("delete from ended_attempts where task_id = $1", [running]);
    expect((await clean({ attemptsDays: 90, workersDays: 90 })).tables).toMatchObject({ task_attempts: 0, workers: 1 });
    expect(await queue.task(done)).toMatchObject({ status: "Complete", worker_id: null });
    expect(await queue.task(running)).toMatchObject({ status: "In Progress", worker_id: other });
  });

  it("notifications go when they were delivered or given up long ago, and not while one is still tried", async () => {
    const endpoint = await api.queue.one<{ id: string }>(
      "insert into notification_endpoints (url) values ('http://127.0.0.1:9/') returning id",
    );
    await api.queue.rows(
      `insert into outbox (kind, payload, endpoint_id, created_at, delivered_at, dead_at)
       select 'task.completed', '{}', $1, now() - interval '1 year', now() - delivered, now() - dead
       from (values (interval '9 hours', null::interval), (null, interval '9 hours'), (interval '7 hours', null),
         (null, interval '7 hours'), (null, null)) as v (delivered, dead)`,
      [endpoint.id],
    );
    expect((await clean({ notificationsHours: 8 })).outbox).toEqual({ deleted: 2 });
    expect(await count("outbox")).toBe(3);
  });

  it("cannot be emptied by an age of 0, and a table without retention not at all", async () => {
    await expect(api.queue.call("clean_up_table", { p_table: "workers", p_days: 0 })).rejects.toMatchObject({
      code: "PT400",
    });
    await expect(api.queue.call("clean_up_table", { p_table: "tasks", p_days: 9 })).rejects.toMatchObject({
      code: "PT400",
    });
    await expect(api.queue.call("orphan_files", { p_bucket: "videos", p_days: 0 })).rejects.toMatchObject({
      code: "PT400",
    });
  });

  it("files: those of deleted tasks go from storage, unless a result names them or they are young", async () => {
    const { queue } = api;
    const bucket = api.client(api.keys.serviceRoleKey).storage.from("videos");
    const [living, passedOn, old, young] = [await queue.addTask(pool), randomUUID(), randomUUID(), randomUUID()];
    for (const name of [`${living}/a.mp4`, `${passedOn}/b.mp4`, `${old}/c.mp4`, `${young}/d.mp4`, "logo.png"]) {
      expect((await bucket.upload(name, new Uint8Array([1, 2, 3]), { contentType: "video/mp4" })).error).toBeNull();
    }
    const url = bucket.getPublicUrl(`${passedOn}/b.mp4`).data.publicUrl;
    await queue.rows("update tasks set output_location = $2 where id = $1", [living, url]);
    await queue.rows("update storage.objects set created_at = now() - interval '31 days' where name not like $1", [
      `${young}/%`,
    ]);
    expect((await clean({})).files).toEqual({ deleted: 0 });
    expect((await clean({ filesDays: 30 })).files).toEqual({ deleted: 1 });
    const left = await queue.rows<{ name: string }>("select name from storage.objects");
    expect(left.map(({ name }) => name).sort()).toEqual(
      [`${living}/a.mp4`, `${passedOn}/b.mp4`, `${young}/d.mp4`, "logo.png"].sort(),
    );
    expect((await bucket.download(`${old}/c.mp4`)).error).not.toBeNull();
  });
});
