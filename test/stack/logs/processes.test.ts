import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { janitorScheduleId, notificationsWorkflowId } from "../../../src/contract/upkeep.ts";
import type { ManagedProcess } from "../../../src/process/guardian.ts";
import { freePort } from "../../../src/dev/servers/free-port.ts";
import { runClient } from "../../kit/client.ts";
import { holdProcessEnds } from "../../kit/lifecycle.ts";
import { without } from "../../kit/deployment/tools.ts";
import { metricsIn, metricsInUse } from "../../kit/monitoring/files.ts";
import { hasPromtool, promtool } from "../../kit/monitoring/promtool.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

const withoutPromtool = without(hasPromtool, "promtool");

describe("the processes with logs in the database and a health port", () => {
  let stack: TestStack;
  let health = "";
  let worker: ManagedProcess;
  beforeAll(async () => {
    const port = await freePort();
    health = `http://127.0.0.1:${port}`;
    stack = await startTestStack({
      env: {
        HEALTH_PORT: String(port),
        DB_LOG_FLUSH_INTERVAL: "0.2",
        LOG_LEVEL: "warn",
        ORCHESTRATOR_INSTANCE_ID: "one",
      },
    });
    worker = stack.startTemporalWorker();
    await stack.startPool();
  });
  afterAll(async () => {
    const { taskQueue } = stack.config.temporal;
    await stack.temporal.schedule.getHandle(janitorScheduleId(taskQueue)).delete();
    await stack.temporal.workflow.getHandle(notificationsWorkflowId(taskQueue)).terminate("the test is over");
    await stack.close();
  });

  const lines = (source: string) =>
    stack.rows<{ message: string; task_id: string | null; worker_id: string | null; source_id: string }>(
      "select message, task_id, worker_id, source_id from system_logs where source_type = $1 order by id",
      [source],
    );
  const messages = async (source: string) => (await lines(source)).map(({ message }) => message);

  it("log the life of a task, from the Temporal worker and from the GPU worker, to the last line", async () => {
    const [task] = await stack.submit(1);
    await expect.poll(() => messages("orchestrator_gpu")).toContain("serving");
    await expect.poll(() => messages("worker")).toContain("GPU worker ends");
    const ended = (await lines("worker")).find(({ message }) => message === "task ended");
    expect(ended?.task_id).toBe(task);
    expect(ended?.worker_id).toMatch(new RegExp(`^${stack.pool}-[0-9a-f]{8}$`));
    const [own] = await lines("orchestrator_gpu");
    expect(own?.source_id).toBe("one");
    const decided = await stack.rows(
      "select cycle_number from system_logs where message like 'decided: %' order by id",
    );
    expect(decided[0]).toMatchObject({ cycle_number: expect.any(Number) });
  });

  it("include the upkeep: the janitor is scheduled and the workflow that delivers notifications runs", async () => {
    const { taskQueue } = stack.config.temporal;
    const sender = stack.temporal.workflow.getHandle(notificationsWorkflowId(taskQueue));
    await expect.poll(async () => (await sender.describe()).status.name).toBe("RUNNING");
    const schedule = await stack.temporal.schedule.getHandle(janitorScheduleId(taskQueue)).describe();
    expect(schedule.action).toMatchObject({ workflowType: "janitor", taskQueue });
  });

  it("say that they are ready, and serve the SDK's metrics beside their own and those of the pools", async () => {
    await expect.poll(async () => await (await fetch(`${health}/readyz`)).json()).toMatchObject({ ready: true });
    const metrics = await (await fetch(`${health}/metrics`)).text();
    expect(metrics).toMatch(/^process_cpu_seconds_total /m);
    expect(metrics).toMatch(/^temporal_workflow_task_queue_poll_succeed_total\{/m);
    const own = (line: string) => line.replace("POOL", stack.pool);
    for (const line of [
      "gpu_pool_leader 1",
      "gpu_pool_ready 1",
      'gpu_pool_max_workers{pool="POOL"} 4',
      'gpu_pool_pod_creates_total{pool="POOL",outcome="created"} 1',
      'gpu_pool_metrics_read_errors_total{part="pools"} 0',
    ]) {
      expect(metrics).toContain(`\n${own(line)}\n`);
    }
  });

  it("serve every metric that the alert rules and the dashboard name", async () => {
    const served = metricsIn(await (await fetch(`${health}/metrics`)).text());
    expect(metricsInUse().length).toBeGreaterThan(25);
    expect(metricsInUse().filter((name) => !served.has(name))).toEqual([]);
  });

  it.skipIf(!hasPromtool)(
    `serve metrics of their own that promtool finds nothing to say about${withoutPromtool}`,
    async () => {
      const metrics = await (await fetch(`${health}/metrics`)).text();
      const families = metrics.split(/^(?=# HELP )/m).filter((family) => !family.startsWith("# HELP temporal_"));
      expect(promtool(["check", "metrics"], { input: families.join("") })).toEqual([0, ""]);
    },
  );

  it("refuse a taken health port as an error of the configuration", async () => {
    const { exitCode, stderr } = await runClient(["run"], { cwd: stack.directory, env: stack.env, input: "" });
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`HEALTH_PORT=${stack.env["HEALTH_PORT"]}: cannot listen on 127.0.0.1`);
    expect(stderr).not.toContain("    at ");
  });

  it("are not ready as soon as they are told to stop, live until the end, and send the rest of their log", async () => {
    const ask = async (path: string) => (await fetch(`${health}${path}`)).status;
    const letGo = await holdProcessEnds(stack);
    const stopped = worker.stop();
    try {
      await expect.poll(() => ask("/readyz"), { interval: 20 }).toBe(503);
      expect(await ask("/healthz")).toBe(200);
    } finally {
      await letGo();
    }
    await stopped;
    expect(await messages("orchestrator_gpu")).toContain("stopped");
  });
});
