import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { POOL_WORKFLOW, poolWorkflowId } from "../../src/contract/names.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import {
  countAlerts,
  countEvents,
  expectDoneOnce,
  expectNothingLeft,
  livingWorkers,
  setSpawningTimeout,
} from "../kit/lifecycle.ts";
import { poolQueries, poolUpdates } from "../../src/contract/pool-api.ts";

function poolOf(stack: TestStack) {
  return stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
}

async function active(stack: TestStack) {
  return (await livingWorkers(stack)).filter(({ status }) => status === "active").length;
}

describe("invariant 13: an image that never becomes ready", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({
      env: {
        SPAWNING_TIMEOUT_SEC: "2",
        MIN_WORKERS_FOR_RATE_CHECK: "3",
        FAILURE_WINDOW_MINUTES: "1",
        MAX_ACTIVE_GPUS: "2",
      },
    });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("opens the breaker after a few pods, rents no more, journals that once, and recovers when an operator resumes", async () => {
    stack.simulator.addFault({ on: "create", kind: "mute", times: 4 });
    const ids = await stack.submit(2);
    const breaker = async () =>
      (await stack.rows<{ breaker: string }>("select breaker from pools where name = $1", [stack.pool]))[0]?.breaker;
    await expect.poll(breaker).toBe("open");
    await expectNothingLeft(stack);
    const rented = stack.simulator.ledger().pods.length;
    // Three failures open it; one more pod may have been requested by then.
    expect(rented).toBeLessThanOrEqual(4);
    const [opened] = await stack.rows<{ message: string }>("select message from alerts where kind = 'breaker_open'");
    expect(opened?.message).toContain("MAX_WORKER_FAILURE_RATE");
    const passes = new Set<string>();
    const passesSeen = async () => {
      const [row] = await stack.rows<{ at: string }>("select observed_at::text as at from pools where name = $1", [
        stack.pool,
      ]);
      return passes.add(row?.at ?? "").size;
    };
    await expect.poll(passesSeen).toBe(3);
    expect(stack.simulator.ledger().pods).toHaveLength(rented);
    expect(await countAlerts(stack, "breaker_open")).toBe(1);

    await poolOf(stack).executeUpdate(poolUpdates.resume);
    // After the last mute pod, one that boots slowly on a busy machine is no failure.
    await expect.poll(() => stack.simulator.ledger().pods.length).toBeGreaterThanOrEqual(4);
    await setSpawningTimeout(stack, 120);
    await expectDoneOnce(stack, ids);
    expect(await breaker()).toBe("closed");
    await expectNothingLeft(stack);
  });
});

describe("invariant 15: a ceiling for the account's money", () => {
  let stack: TestStack;
  let other: string;
  beforeAll(async () => {
    // One pod costs less than the cap, two cost more.
    stack = await startTestStack({ env: { MAX_HOURLY_SPEND_USD: "1", TASKS_PER_GPU_THRESHOLD: "1" } });
    other = `${stack.pool}-other`;
    await stack.serve();
    await stack.startPool();
    await stack.temporal.workflow.start(POOL_WORKFLOW, {
      workflowId: poolWorkflowId(other),
      taskQueue: stack.config.temporal.taskQueue,
      args: [{ pool: other }],
    });
  });
  afterAll(async () => {
    await stack?.temporal.workflow
      .getHandle(poolWorkflowId(other))
      .terminate("the test is over")
      .catch(() => undefined);
    await stack?.close();
  });

  it("holds over all pools, whatever size operators ask for, and all tasks are still completed", async () => {
    await poolOf(stack).executeUpdate(poolUpdates.scale, { args: [{ target: 4 }] });
    await expect.poll(() => active(stack)).toBe(1);
    const second = stack.temporal.workflow.getHandle(poolWorkflowId(other));
    await second.executeUpdate(poolUpdates.scale, { args: [{ target: 2 }] });
    await expectDoneOnce(stack, await stack.submit(4));
    for (const handle of [second, poolOf(stack)]) {
      const status = async () => (await handle.query(poolQueries.status)).snapshot;
      await expect.poll(status).toMatchObject({
        rule: "budget",
        reason: expect.stringContaining("MAX_HOURLY_SPEND_USD 1"),
        spend: { hourlyUsd: expect.closeTo(0.69, 1) },
      });
    }
    expect(stack.simulator.ledger().pods).toHaveLength(1);
    expect(await livingWorkers(stack)).toHaveLength(1);
  });
});

describe("invariant 4: heartbeats that all stop together", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { GPU_IDLE_TIMEOUT_SEC: "6", MAX_ACTIVE_GPUS: "3" } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("suspend the verdicts with an alert, because the database may be the cause; when they come again, all goes on", async () => {
    await poolOf(stack).executeUpdate(poolUpdates.scale, { args: [{ target: 3 }] });
    await expect.poll(() => active(stack)).toBe(3);
    const pods = stack.simulator.ledger().pods.filter(({ live }) => live);
    const pids = pods.flatMap(({ pid }) => pid ?? []);
    expect(pids).toHaveLength(3);
    pids.forEach((pid) => process.kill(-pid, "SIGSTOP"));
    try {
      await expect.poll(() => countAlerts(stack, "workers_stale")).toBe(1);
      const silent = async () =>
        (
          await stack.rows(
            "select 1 from workers where last_heartbeat < now() - interval '12 seconds' and gone_at is null",
          )
        ).length;
      await expect.poll(silent).toBe(3);
      expect(await active(stack)).toBe(3);
      expect(await countEvents(stack, "worker.fail")).toBe(0);
    } finally {
      pids.slice(1).forEach((pid) => process.kill(-pid, "SIGCONT"));
    }
    // Heartbeats come back one by one, and the last worker must not be ended for the outage.
    await expect.poll(() => countEvents(stack, "alert.closed")).toBe(1);
    pids.slice(0, 1).forEach((pid) => process.kill(-pid, "SIGCONT"));
    expect(await countAlerts(stack, "workers_stale")).toBe(1);
    const ids = await stack.submit(3);
    await expectDoneOnce(stack, ids);
    expect(stack.simulator.ledger().pods).toHaveLength(3);
    expect(await countEvents(stack, "worker.fail")).toBe(0);
  });

  it("do not protect a pod that the provider shows as ended", async () => {
    await expect.poll(() => active(stack)).toBe(3);
    const pods = stack.simulator.ledger().pods.filter(({ live }) => live);
    for (const { id } of pods) {
      expect(stack.simulator.killPod(id)).toBe(true);
    }
    const proven = async () =>
      (
        await stack.rows<{ pod: string }>(
          `select w.pod_id as pod from pool_events e join workers w on w.id = e.worker_id
           where e.kind = 'worker.fail' and e.details ->> 'evidence' = 'provider' order by 1`,
        )
      ).map(({ pod }) => pod);
    await expect.poll(proven).toEqual(pods.map(({ id }) => id).toSorted());
    await poolOf(stack).executeUpdate(poolUpdates.scale, { args: [{ target: 0 }] });
    await expectNothingLeft(stack);
  });
});
