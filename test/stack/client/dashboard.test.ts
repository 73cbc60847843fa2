import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { minuteStore } from "../../../src/supabase/history/minute-store.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { without } from "../../kit/deployment/tools.ts";
import { runClient } from "../../kit/client.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";
import { hasTmux, openTerminal, type Terminal } from "../../kit/terminal/tmux.ts";

let api: QueueApi;
let schema: z.ZodType;
const pool = "films";
let env: Readonly<Record<string, string>> = {};

beforeAll(async () => {
  const text = await readFile(new URL("../../../docs/dashboard.schema.json", import.meta.url), "utf8");
  schema = z.fromJSONSchema(JSON.parse(text) as never);
  api = await openQueueApi();
  env = {
    SUPABASE_URL: api.url,
    SUPABASE_ANON_KEY: api.keys.anonKey,
    SUPABASE_SERVICE_ROLE_KEY: api.keys.serviceRoleKey,
    TEMPORAL_ADDRESS: "127.0.0.1:1",
    GPU_POOL: pool,
  };
});
afterAll(() => api?.close());

async function dashboard(...args: string[]) {
  return await runClient(["dashboard", ...args], { cwd: tmpdir(), env });
}

async function exported(...args: string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await dashboard("--export", ...args);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const shown = JSON.parse(stdout) as Record<string, unknown>;
  expect(schema.safeParse(shown).error).toBeUndefined();
  return shown;
}

/** A pool whose figures stay the same for half an hour, as its screens are compared with kept ones. */
async function inhabit(): Promise<void> {
  const { queue } = api;
  await queue.rows(
    `insert into pools (name, desired_workers, min_workers, max_workers, observed_at, environment)
     values ($1, 7, 1, 10, now() - interval '1 day 30 minutes', '{"dailyBudgetUsd": 50, "maxHourlySpendUsd": 10}')`,
    [pool],
  );
  await queue.rows("insert into task_types (name) values ('動画を作る🎬')");
  const age = "now() - interval '2 days 30 minutes'";
  await queue.rows(
    `insert into workers (id, pool, origin, status, boot_stage, boot_stage_at, created_at, ready_at, last_heartbeat,
       instance_type, cost_per_hr_usd, pod_created_at)
     select 'films-' || lpad(n::text, 8, '0'), $1, 'pool', case when n = 1 then 'spawning' else 'active' end,
       case when n = 1 then 'pulling' else 'ready' end, ${age}, ${age}, case when n > 1 then ${age} end,
       case when n > 1 then ${age} end, 'NVIDIA L40S', 0.5, null
     from generate_series(1, 6) as n`,
    [pool],
  );
  await queue.addTasks(pool, 2);
  const first = { id: "0a1b2c3d-0000-4000-8000-000000000000", task_type: "動画を作る🎬", priority: 9 };
  await queue.addTask(pool, first);
  await queue.lease("films-00000002");
  await queue.addTasks(pool, 1, { gate: "held" });
  await queue.rows("alter table tasks disable trigger user");
  await queue.rows(`update tasks set created_at = ${age}, updated_at = ${age} where pool = $1`, [pool]);
  await queue.rows("alter table tasks enable trigger user");
  await queue.rows(
    `insert into pool_minutes select $1, date_trunc('minute', now()) - make_interval(mins => n), 8, 0, 0, 0, 4, 0, 1, 4, 0, 0,
       7, 2, 0, 600, 3.0 from generate_series(-30, 90) as n`,
    [pool],
  );
  await queue.rows(
    `insert into pool_events (pool, kind, reason) values
       ($1, 'decision', 'キューに三つのタスク🎬: one more, because 3 tasks wait for 4 workers'),
       ($1, 'decision', $2), ($1, 'pod.created', 'not a decision')`,
    [pool, "hold everything: \x1b[2J\x1b]0;title\x07 is text of others"],
  );
  await queue.rows("select open_alert('queue_waiting', $1, $1, 'a task waits for a worker since noon')", [pool]);
  await queue.rows("select open_alert('no_funds', 'account', null, 'the provider refused a pod: no funds')");
  await queue.rows(`update alerts set opened_at = ${age} where closed_at is null`);
}

describe("gpu-pool dashboard", () => {
  beforeAll(inhabit);

  it("prints what its schema says, in bounded parts", async () => {
    const shown = await exported();
    expect(shown).toMatchObject({
      pool,
      mode: "normal",
      desired: 7,
      queue: { open: 3, held: 0, running: 1 },
      workers: { spawning: 1, busy: 1, idle: 4, failing: 0, terminating: 0 },
      usdPerHour: 3,
      account: { maxUsdPerHour: 10, maxUsdToday: 50 },
      alerts: expect.arrayContaining([
        expect.objectContaining({ kind: "no_funds", pool: null }),
        expect.objectContaining({ kind: "queue_waiting", subject: pool }),
      ]) as unknown,
      fleetCount: 6,
    });
    expect((shown["decisions"] as { reason: string }[]).map(({ reason }) => reason.slice(0, 4))).toEqual([
      "hold",
      "キューに",
    ]);
    expect((shown["minutes"] as object[]).length).toBeGreaterThanOrEqual(61);
    expect(await exported("--filter", "動画")).toMatchObject({
      fleetCount: 1,
      fleet: [{ id: "films-00000002", phase: "busy", task: { type: "動画を作る🎬" } }],
    });
    expect(await exported("--filter", "SPAWN")).toMatchObject({ fleetCount: 1, workers: { busy: 1 } });
    expect((await dashboard("--json")).stdout).toContain('"fleetCount":6');
  });

  it("prints plain text without a terminal", async () => {
    const { exitCode, stdout } = await dashboard();
    expect(exitCode).toBe(0);
    // oxlint-disable-next-line no-control-regex -- what a terminal would obey
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
    for (const said of [
      "3 open (oldest 2d00h), 0 held",
      "spawning",
      "no_funds account",
      "hold everything",
      "films-00000001",
    ]) {
      expect(stdout).toContain(said);
    }
  });

  it("answers a wrong input in one line that says what to do", async () => {
    expect(await dashboard("--pool", "nobody")).toMatchObject({
      exitCode: 3,
      stderr: "gpu-pool: there is no pool nobody\n  No pool of this name was ever started. The only pool is films.",
    });
    expect(await dashboard("--pool", "No Name")).toMatchObject({ exitCode: 2 });
    expect(await dashboard("--onse")).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("Did you mean --once?") as string,
    });
  });
});

/** Clock times of the journal differ from run to run. */
function timeless(screen: string): string {
  return screen.replaceAll(/\b\d\d:\d\d:\d\d\b/g, "hh:mm:ss").replaceAll(/\s+$/gm, "");
}

describe.skipIf(!hasTmux)(`the dashboard on a real terminal${without(hasTmux, "tmux")}`, () => {
  const open: Terminal[] = [];
  const terminal = async (
    columns: number,
    rows: number,
    more: Readonly<Record<string, string>> = {},
    ...args: string[]
  ) => {
    const made = await openTerminal(["dashboard", ...args], { columns, rows, env: { ...env, ...more } });
    open.push(made);
    return made;
  };
  afterAll(() => Promise.all(open.map(async (each) => await each.close())));

  it.each([
    [80, 24],
    [160, 50],
  ])("fills %i columns and %i rows as kept", async (columns, rows) => {
    const { shows } = await terminal(columns, rows);
    await expect.poll(shows).toContain("q quit");
    await expect(`${timeless(await shows())}\n`).toMatchFileSnapshot(`screens/dashboard-${columns}x${rows}.txt`);
  });

  it("obeys its keys, asks before it orders, fits a new size, and leaves the screen as it was", async () => {
    const { shows, press, resize, exitCode } = await terminal(80, 24);
    await expect.poll(shows).toContain("q quit");
    expect(await shows()).toContain("› films-00000001");
    await press("Down");
    await expect.poll(shows).toContain("› films-00000002");
    await press("t");
    await expect.poll(shows).toContain("terminate worker films-00000002: its task goes back to the queue? y/n");
    await press("n");
    await expect.poll(shows).toContain("not agreed: nothing was ordered");
    await press("p");
    await expect.poll(shows).toContain("pause pool films: no scaling either way until resume? y/n");
    await press("y");
    await expect.poll(shows).toContain("no answer from Temporal at 127.0.0.1:1");
    await press("Escape");
    await press("/");
    await expect.poll(shows).toContain("filter:");
    await press("i", "d", "l", "e", "Enter");
    await expect.poll(shows).not.toContain("films-00000002");
    expect(await shows()).toContain("films-00000003");
    await resize(120, 30);
    await expect.poll(shows).toMatch(/GPU\n/);
    await press("q");
    await expect.poll(exitCode).toBe(0);
    expect(await shows()).not.toContain("films-00000003");
  });

  it.each([
    ["NO_COLOR", { NO_COLOR: "1" }],
    ["a terminal that obeys nothing", { TERM: "dumb" }],
  ])("prints plain text once with %s", async (_, more) => {
    const { shows, exitCode } = await terminal(100, 60, more);
    await expect.poll(exitCode).toBe(0);
    expect(await shows()).toContain("WORKERS BY PHASE");
  });
});

describe("the minutes of a pool", () => {
  it("are recorded once each, with the counts of the minute that has ended", async () => {
    const { queue } = api;
    const minutes = minuteStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
    const [own, other] = [await queue.newPool(), await queue.newPool()];
    const [busy, done, failing] = await queue.newWorkers(own, 3, { cost_per_hr_usd: 0.5 });
    await queue.newWorker(own, { status: "spawning", expected_usd_per_hr: 0.25 });
    const finished = await queue.addTasks(own, 2);
    await queue.addTasks(own, 3);
    await queue.addTask(own, { dependant_on: finished[0] });
    await queue.addTask(other);
    await queue.finish(await queue.lease(done!));
    await queue.fail(await queue.lease(failing!), "no model", true);
    await queue.lease(busy!);
    // What ended just now ended in the minute that is recorded.
    const begun = "date_trunc('minute', clock_timestamp() - interval '10 seconds') - interval '1 minute'";
    await queue.rows("alter table tasks disable trigger user");
    await queue.rows(`update tasks set lease_ended_at = ${begun} + interval '59 seconds' where worker_id = $1`, [done]);
    await queue.rows(`update ended_attempts set ended_at = ${begun} where worker_id = $1`, [failing]);
    await queue.rows("alter table tasks enable trigger user");
    const answers = await Promise.all(Array.from({ length: 4 }, async () => await minutes.record(own)));
    const seen = await queue.rows<object>("select * from pool_minutes where pool = $1 order by minute", [own]);
    expect(answers.filter(Boolean)).toHaveLength(seen.length);
    expect(seen[0]).toMatchObject({
      open: 3,
      blocked: 0,
      running: 1,
      spawning: 1,
      idle: 2,
      busy: 1,
      completed: 1,
      failed: 1,
      usd_per_hour: "1.7500",
      desired: null,
    });
    expect(await minutes.record(own)).toBe(false);
    expect(await minutes.record("nobody")).toBe(false);
  });
});
