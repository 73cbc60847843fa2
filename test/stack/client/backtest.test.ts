import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { historyStore } from "../../../src/supabase/history/history-store.ts";
import { poolStore } from "../../../src/supabase/pool-store.ts";
import { runClient } from "../../kit/client.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

describe("what a pool has served", () => {
  let api: QueueApi;
  let cwd: string;
  const pool = "served";
  const elsewhere = "elsewhere";
  const since = new Date(Date.now() - 3_600_000).toISOString();
  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), "backtest-"));
    api = await openQueueApi();
    const { queue } = api;
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    await poolStore(database).open(pool, { maxActiveGpus: 3 });
    await poolStore(database).open(elsewhere, {});
    const ready = { created_at: "2026-01-01T00:00:00Z", ready_at: "2026-01-01T00:01:30Z", cost_per_hr_usd: 0.5 };
    const workers = await queue.newWorkers(pool, 2, ready);
    const other = await queue.newWorker(elsewhere);
    await queue.addTasks(pool, 4, { task_type: "generate_video" });
    await queue.addTasks(elsewhere, 1);
    for (const worker of [...workers, other, workers[0] ?? ""]) {
      await queue.finish(await queue.lease(worker));
    }
    await queue.fail(await queue.lease(workers[1] ?? ""), "no such model", true);
    await queue.addTasks(pool, 2);
    await queue.lease(workers[0] ?? "");
    await queue.release(await queue.lease(workers[1] ?? ""));
  });
  afterAll(async () => {
    await api?.close();
    await rm(cwd, { recursive: true, force: true });
  });

  async function run(...args: string[]) {
    const { anonKey, serviceRoleKey } = api.keys;
    const env = { SUPABASE_URL: api.url, SUPABASE_ANON_KEY: anonKey, SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey };
    return await runClient(args, { cwd, env: { ...env, GPU_POOL: pool } });
  }

  async function runJson(...args: string[]): Promise<Record<string, unknown>> {
    const { exitCode, stdout, stderr } = await run(...args, "--json");
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  it("is read page by page, in a transaction that may not write", async () => {
    const history = historyStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
    const served = [];
    for await (const page of history.served(pool, since)) {
      served.push(...page);
    }
    // What is still held and what was handed back is no task that was served.
    expect(served).toHaveLength(4);
    expect(new Set(served.map(({ type }) => type))).toEqual(new Set(["generate_video"]));
    expect(served.every(({ seconds, atMs }) => seconds > 0 && seconds < 600 && atMs > Date.parse(since))).toBe(true);
    expect(await history.boots(pool)).toEqual(Array(2).fill({ seconds: 90, costPerHourUsd: 0.5 }));
    expect(await history.boots(elsewhere)).toEqual([]);

    const session = await api.queue.session();
    await session.rows("begin transaction read only");
    const paged = [];
    let place: Readonly<Record<string, string | null>> | null = {};
    let pages = 0;
    while (place !== null) {
      const args = { p_pool: pool, p_from: since, p_limit: 2, ...place };
      const page: Readonly<{ next_worker: string | null; next_after: string | null; tasks: unknown[] }> =
        await session.call("pool_history", args);
      paged.push(...page.tasks);
      pages += 1;
      place = page.next_worker === null ? null : { p_worker: page.next_worker, p_after: page.next_after };
    }
    await session.end();
    expect(pages).toBeGreaterThan(2);
    expect(paged).toEqual(served.map(({ atMs, ...rest }) => ({ at_ms: atMs, ...rest })));
  });

  it("is simulated by backtest and advise, which change nothing in the database", async () => {
    const content = () =>
      api.queue.rows(`select table_name, md5(xml::text) from (
        select table_name::text, query_to_xml(format('select * from public.%I t order by t::text', table_name), true, false, '')
          as xml
        from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE') as all_tables
        order by 1`);
    const before = await content();
    expect(before.length).toBeGreaterThan(10);
    const picture = join(cwd, "backtest.svg");
    const sets = ["--set", "SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0", "--set", "minActiveGpus=1"];
    expect(await runJson("backtest", "--since", "1h", ...sets, "--svg", picture)).toMatchObject({
      about: `what pool ${pool} has served`,
      tasks: 4,
      bootSec: 90,
      priceUsd: 0.5,
      results: [
        { label: sets[1], policy: "workload", unserved: 0, usd: expect.any(Number) },
        { label: sets[3], unserved: 0 },
      ],
    });
    expect(await readFile(picture, "utf8")).toContain("<svg");
    const { results, advice } = await runJson("advise", "--since", "1h");
    const labels = (results as { label: string }[]).map(({ label }) => label);
    expect(labels[0]).toBe("now: threshold, MIN 2, MAX 3");
    expect(labels).toContain("SCALING_POLICY=threshold,TASKS_PER_GPU_THRESHOLD=3,MIN_ACTIVE_GPUS=2,MAX_ACTIVE_GPUS=10");
    expect(advice).not.toEqual([]);
    expect(await content()).toEqual(before);
  });

  it("is missed with an exit code and advice", async () => {
    expect(await run("advise", "--pool", elsewhere, "--since", "1s")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("Look further back with --since"),
    });
    expect(await run("backtest", "--pool", "mistyped")).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("there is no pool mistyped"),
    });
  });
});
