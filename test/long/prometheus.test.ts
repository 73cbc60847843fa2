import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../src/dev/servers/free-port.ts";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { dashboardQueries } from "../kit/monitoring/files.ts";
import { hasPrometheus, type Prometheus, startPrometheus } from "../kit/monitoring/prometheus.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

const PRESENT = 'sum(gpu_pool_workers{origin="pool",phase=~"idle|busy"})';
/** 30 s without a sign of life, the next sign of life of the other process, and the next scrape. */
const TAKE_OVER_SEC = 40;

describe.skipIf(!hasPrometheus)(
  `a real Prometheus beside two worker processes${hasPrometheus ? "" : " (skipped: prometheus is not installed)"}`,
  () => {
    let stack: TestStack;
    let prometheus: Prometheus;
    const processes = new Map<string, ManagedProcess>();
    let startMs = 0;
    beforeAll(async () => {
      stack = await startTestStack({ env: { WORKER_GRACE_PERIOD_SEC: "15" } });
      const ports = [await freePort(), await freePort()];
      const targets = ports.map((port) => `127.0.0.1:${port}`);
      startMs = Date.now();
      prometheus = await startPrometheus(stack.guardian, stack.directory, targets);
      for (const port of ports) {
        const started = stack.startTemporalWorker(undefined, { HEALTH_PORT: String(port) });
        processes.set(`127.0.0.1:${port}`, started);
      }
      await stack.startPool();
    });
    afterAll(async () => await stack?.close());

    const values = async (expr: string) => (await prometheus.range(expr, startMs)).flatMap((series) => series.values);
    const latest = async (expr: string) => (await values(expr)).at(-1)?.[1] ?? null;
    const highest = async (expr: string) => Math.max(...(await values(expr)).map(([, value]) => value));

    it("sees the pool grow and fall, the waits and the cold starts", async () => {
      await expect.poll(() => latest("sum(gpu_pool_desired_workers)")).toBe(0);
      await stack.submit(8);
      await expect.poll(() => highest(PRESENT)).toBeGreaterThanOrEqual(2);
      expect(await highest('sum(gpu_pool_queue_tasks{gate="open"})')).toBeGreaterThanOrEqual(1);
      await expect.poll(() => latest("sum(gpu_pool_task_wait_seconds_count)")).toBe(8);
      const [{ workers }] = (await stack.rows<{ workers: number }>(
        "select count(*)::int as workers from workers where ready_at is not null",
      )) as [{ workers: number }];
      await expect.poll(() => latest(PRESENT)).toBe(0);
      await expect.poll(() => latest("sum(gpu_pool_cold_start_seconds_count)")).toBe(workers);
      expect(await latest('sum(gpu_pool_pod_creates_total{outcome="created"})')).toBe(workers);
      expect(await latest("gpu_pool_account_spend_today_usd")).toBeGreaterThan(0);
    });

    it("gets a series for every query of the dashboard", async () => {
      const empty = [];
      for (const { panel, expr } of dashboardQueries()) {
        const found = await prometheus.range(expr, startMs);
        if (!found.some((series) => series.values.some(([, value]) => Number.isFinite(value)))) {
          empty.push(`${panel}: ${expr}`);
        }
      }
      expect(empty).toEqual([]);
    });

    it("gets the pools from the other process when the leader is killed, and never from two", async () => {
      const leaders = await prometheus.range("gpu_pool_leader == 1", Date.now() - 3_000);
      const leader = leaders[0]?.metric["instance"] ?? "";
      const killed = processes.get(leader);
      expect(killed).toBeDefined();
      const killedSec = Date.now() / 1000;
      process.kill(killed!.pid, "SIGKILL");
      const another = `gpu_pool_leader{instance!="${leader}"} == 1`;
      await expect.poll(() => latest(another)).toBe(1);
      const [tookOverSec = Infinity] = (await values(another)).map(([at]) => at);
      expect(tookOverSec - killedSec).toBeLessThan(TAKE_OVER_SEC);
      await expect.poll(() => latest("sum(gpu_pool_task_wait_seconds_count)")).toBe(8);
      for (const [expr, most] of [
        ["sum(gpu_pool_leader)", 1],
        ["count(gpu_pool_desired_workers)", 1],
        ["sum(gpu_pool_task_wait_seconds_count)", 8],
      ] as const) {
        expect(await highest(expr)).toBe(most);
      }
    });
  },
);
