import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { janitorScheduleId, notificationsWorkflowId } from "../../../src/contract/upkeep.ts";
import type { ManagedProcess } from "../../../src/process/guardian.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

describe("the processes with logs in the database", () => {
  let stack: TestStack;
  let worker: ManagedProcess;
  beforeAll(async () => {
    stack = await startTestStack({
      env: {
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

  it("send the rest of their log when they are stopped", async () => {
    await worker.stop();
    expect(await messages("orchestrator_gpu")).toContain("stopped");
  });
});
