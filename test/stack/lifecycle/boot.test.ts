import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import {
  countTasks,
  expectDoneOnce,
  expectNothingLeft,
  setSpawningTimeout,
  workerStates,
} from "../../kit/lifecycle.ts";

describe("a new worker", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { SPAWNING_TIMEOUT_SEC: "5" } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("is ended at its spawn deadline if it never reports: its pod is removed, and a replacement does the task", async () => {
    stack.simulator.addFault({ on: "create", kind: "mute" });
    const ids = await stack.submit(1);
    await expect.poll(async () => (await workerStates(stack))[0]?.pod_id ?? null).not.toBeNull();
    // It has its deadline from its booking; the replacement may boot slowly where the machine is busy.
    await setSpawningTimeout(stack, 120);
    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack);

    const [mute, replacement] = await workerStates(stack);
    expect(mute).toMatchObject({ status: "error", status_reason: expect.stringContaining("no heartbeat 5 s after") });
    expect(replacement?.status).toBe("terminated");
    const pods = stack.simulator.ledger().pods;
    const pod = pods.find(({ name }) => name === mute?.id);
    expect(pod).toMatchObject({ endCause: "deleted", pid: null });
    // Its last stage began when the provider says, and not five seconds later when the deadline looked: else it would bill for
    // two deadlines. The uptime, in whole seconds and read when the answer is there, may say a little later than the ledger.
    const [stage] = await stack.rows<{ boot_stage: string; began: Date; created: Date }>(
      `select boot_stage, date_trunc('milliseconds', boot_stage_at) as began, date_trunc('milliseconds', e.at) as created
       from workers w join pool_events e on e.worker_id = w.id and e.kind = 'pod.created' where w.id = $1`,
      [mute?.id],
    );
    const began = Math.max(Date.parse(pod?.runningAt ?? ""), Number(stage?.created));
    expect(stage?.boot_stage).toBe("running");
    expect(Number(stage?.began)).toBeGreaterThanOrEqual(began);
    expect(Number(stage?.began)).toBeLessThan(began + 5_000);
    const [attempt] = await stack.rows<{ worker_id: string }>("select worker_id from task_attempts");
    expect(attempt?.worker_id).toBe(replacement?.id);
  });

  it("fails a task with bad params at once, names the field, and takes the next task", async () => {
    const [bad = ""] = await stack.submit(1, { frames: "many" });
    const [good = ""] = await stack.submit(1);
    await expectDoneOnce(stack, [good]);
    expect(await countTasks(stack, "Failed")).toBe(1);
    const [task] = await stack.rows<{ error_message: string; attempts: number }>(
      "select error_message, attempts from tasks where id = $1",
      [bad],
    );
    expect(task).toMatchObject({ attempts: 1, error_message: expect.stringContaining("params.frames") });
    const attempts = await stack.rows<{ worker_id: string; cause: string }>(
      "select worker_id, cause from task_attempts where task_id = any($1) order by started_at",
      [[bad, good]],
    );
    expect(attempts.map(({ cause }) => cause)).toEqual(["task_error", "completed"]);
    expect(attempts[0]?.worker_id).toBe(attempts[1]?.worker_id);
    await expectNothingLeft(stack);
  });
});
