import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { z } from "zod";
import { type MetricsReading, metricsStore } from "../../../src/supabase/processes/metrics-store.ts";
import { textOf } from "../../../src/worker/health/families.ts";
import { poolMetrics } from "../../../src/worker/health/pool-metrics.ts";
import { openQueue, type Queue } from "../../kit/queue.ts";

describe("the metrics of the pools", () => {
  let queue: Queue;
  let process: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  afterAll(() => queue?.close());
  beforeEach(async () => {
    await queue.rows("delete from metrics_export");
    await queue.rows("delete from metric_totals");
    await queue.rows("delete from worker_processes");
    process = await newLeader();
  });

  async function newLeader(): Promise<string> {
    const id = randomUUID();
    await beat(id);
    return id;
  }
  const beat = (id: string) =>
    queue.call("process_beat", {
      p_process: id,
      p_host: "host",
      p_pid: 1,
      p_version: "0.1.0",
      p_task_queue: "gpu-pool",
    });
  const read = async (id = process): Promise<MetricsReading | null> => {
    const call = async <T>(name: string, args: Readonly<Record<string, unknown>>, answer: z.ZodType<T>) =>
      answer.parse(await queue.call(name, args));
    return await metricsStore({ call } as never).read(id);
  };
  const scrape = async (): Promise<string> => textOf(poolMetrics((await read())!));
  /** Makes everything so far old enough to be counted, or to be forgotten. */
  const passes = async (sec: number) => {
    await queue.rows("update metrics_export set counted_to = counted_to - make_interval(secs => $1)", [sec]);
    await queue.rows("update metrics_export set exported_at = exported_at - make_interval(secs => $1)", [sec]);
    for (const [table, started] of [
      ["tasks", "leased_at"],
      ["ended_attempts", "started_at"],
    ]) {
      await queue.rows(
        `update ${table} set ${started} = ${started} - make_interval(secs => $1), claimable_at = claimable_at - make_interval(secs => $1)`,
        [sec],
      );
    }
    await queue.rows("update workers set ready_at = ready_at - make_interval(secs => $1)", [sec]);
  };
  const linesOf = (text: string, pool: string) =>
    text.split("\n").filter((line) => line.includes(`pool="${pool}"`) && !line.includes("_bucket"));
  const waits = async (pool: string) =>
    (await read())!.totals.find((t) => t.pool === pool && t.metric === "task_wait_seconds_bucket" && t.label === "+Inf")
      ?.value;

  it("are shown by the leading process alone", async () => {
    const other = await newLeader();
    expect(await read(other)).toBeNull();
    expect(await read(randomUUID())).toBeNull();
    expect(await read()).not.toBeNull();
    await queue.rows("update worker_processes set seen_at = seen_at - interval '31 seconds' where id = $1", [process]);
    expect(await read()).toBeNull();
  });

  it("are shown by the next leader only when no scrape of the one before counts any more", async () => {
    await read();
    await queue.call("process_end", { p_process: process });
    const next = await newLeader();
    expect(await read(next)).toBeNull();
    await passes(31);
    expect(await read(next)).not.toBeNull();
  });

  it("name each phase and gate of a pool, with what it wants and what it costs", async () => {
    const pool = await queue.newPool();
    await queue.rows("update pools set should_run = true, watch_id = 'w', observed_at = now() where name = $1", [pool]);
    const size = { p_pool: pool, p_desired: 3, p_min: 1, p_max: 5 };
    await queue.call("pool_note_size", { ...size, p_watch_id: "w" });
    await queue.call("pool_note_size", { ...size, p_desired: 9, p_watch_id: "an older watch" });
    const [busy] = await queue.newWorkers(pool, 2, { origin: "pool", cost_per_hr_usd: 0.5 });
    await queue.newWorkers(pool, 3, { origin: "pool", status: "spawning", expected_usd_per_hr: 0.25 });
    await queue.newWorkers(pool, 1, { origin: "external" });
    await queue.newWorkers(pool, 1, { origin: "pool", status: "terminated", gone_at: new Date() });
    await queue.addTasks(pool, 4);
    await queue.rows("update tasks set gate = 'held' where id = $1", [await queue.addTask(pool)]);
    await queue.lease(busy!);
    const lines = linesOf(await scrape(), pool);
    expect(lines.filter((line) => !/_age_|_oldest_/.test(line))).toEqual([
      `gpu_pool_desired_workers{pool="${pool}"} 3`,
      `gpu_pool_min_workers{pool="${pool}"} 1`,
      `gpu_pool_max_workers{pool="${pool}"} 5`,
      `gpu_pool_workers{pool="${pool}",origin="pool",phase="terminating"} 0`,
      `gpu_pool_workers{pool="${pool}",origin="pool",phase="failing"} 0`,
      `gpu_pool_workers{pool="${pool}",origin="external",phase="idle"} 1`,
      `gpu_pool_workers{pool="${pool}",origin="pool",phase="busy"} 1`,
      `gpu_pool_workers{pool="${pool}",origin="pool",phase="idle"} 1`,
      `gpu_pool_workers{pool="${pool}",origin="pool",phase="spawning"} 3`,
      `gpu_pool_queue_tasks{pool="${pool}",gate="open"} 3`,
      `gpu_pool_queue_tasks{pool="${pool}",gate="held"} 1`,
      `gpu_pool_queue_tasks{pool="${pool}",gate="blocked"} 0`,
      `gpu_pool_queue_tasks{pool="${pool}",gate="delayed"} 0`,
      `gpu_pool_spend_usd_per_hour{pool="${pool}"} 1.75`,
      `gpu_pool_should_run{pool="${pool}"} 1`,
      `gpu_pool_mode{pool="${pool}",mode="normal"} 1`,
      `gpu_pool_mode{pool="${pool}",mode="draining"} 0`,
      `gpu_pool_mode{pool="${pool}",mode="paused"} 0`,
      `gpu_pool_mode{pool="${pool}",mode="closing"} 0`,
      `gpu_pool_breaker{pool="${pool}",state="closed"} 1`,
      `gpu_pool_breaker{pool="${pool}",state="half_open"} 0`,
      `gpu_pool_breaker{pool="${pool}",state="open"} 0`,
      `gpu_pool_no_placement{pool="${pool}"} 0`,
      `gpu_pool_task_wait_seconds_sum{pool="${pool}"} 0`,
      `gpu_pool_task_wait_seconds_count{pool="${pool}"} 0`,
      `gpu_pool_cold_start_seconds_sum{pool="${pool}"} 0`,
      `gpu_pool_cold_start_seconds_count{pool="${pool}"} 0`,
    ]);
    expect(lines.filter((line) => /_age_|_oldest_/.test(line))).toHaveLength(2);
  });

  it("leave a pool out once it is shut down and empty", async () => {
    const pool = await queue.newPool();
    await queue.rows("update pools set should_run = true where name = $1", [pool]);
    expect((await read())!.pools.map((shown) => shown.pool)).toContain(pool);
    await queue.rows("update pools set should_run = false where name = $1", [pool]);
    expect((await read())!.pools.map((shown) => shown.pool)).not.toContain(pool);
  });

  it("count each claim and each first heartbeat once, whoever leads, and never fall when rows are deleted", async () => {
    const pool = await queue.newPool();
    const created = new Date(Date.now() - 42_000);
    const [worker] = await queue.newWorkers(pool, 1, { origin: "pool", created_at: created, ready_at: new Date() });
    await queue.rows("delete from metrics_export");
    await read();
    const task = await queue.addTask(pool);
    await queue.rows("alter table tasks disable trigger user");
    await queue.rows("update tasks set updated_at = now() - interval '45 seconds' where id = $1", [task]);
    await queue.rows("alter table tasks enable trigger user");
    await queue.lease(worker!);
    expect(await waits(pool)).toBe(0);
    await passes(11);
    expect(await waits(pool)).toBe(1);
    expect(await waits(pool)).toBe(1);
    await queue.call("process_end", { p_process: process });
    await passes(31);
    process = await newLeader();
    expect(await waits(pool)).toBe(1);
    await queue.rows("delete from tasks where id = $1", [task]);
    const text = await scrape();
    expect(text).toContain(`gpu_pool_task_wait_seconds_bucket{pool="${pool}",le="30"} 0\n`);
    expect(text).toContain(`gpu_pool_task_wait_seconds_bucket{pool="${pool}",le="60"} 1\n`);
    expect(text).toContain(`gpu_pool_task_wait_seconds_count{pool="${pool}"} 1\n`);
    expect(text).toMatch(new RegExp(`gpu_pool_task_wait_seconds_sum{pool="${pool}"} 4[5-9]\\.`));
    expect(text).toContain(`gpu_pool_cold_start_seconds_bucket{pool="${pool}",le="30"} 0\n`);
    expect(text).toContain(`gpu_pool_cold_start_seconds_bucket{pool="${pool}",le="60"} 1\n`);
  });

  it("show the account: its spend, its limits, and its open alerts by kind", async () => {
    const pool = await queue.newPool();
    const limits = { p_pool: pool, p_watch_id: "w", p_environment: { maxHourlySpendUsd: 12.5, dailyBudgetUsd: null } };
    await queue.call("pool_begin_watch", { ...limits, p_started_at: new Date() });
    await queue.call("open_alert", { p_kind: "queue_waiting", p_subject: pool, p_pool: pool, p_message: "waits" });
    const text = await scrape();
    expect(text).toContain("\ngpu_pool_account_spend_limit_usd_per_hour 12.5\n");
    expect(text).not.toContain("\ngpu_pool_account_daily_budget_usd ");
    expect(text).toContain('\ngpu_pool_alerts_open{kind="queue_waiting"} 1\n');
    expect(text).toContain('\ngpu_pool_alerts_open{kind="no_funds"} 0\n');
    expect(text).toContain("\ngpu_pool_processes 1\n");
  });
});
