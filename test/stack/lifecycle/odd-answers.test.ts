import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId, workerWorkflowId } from "../../../src/contract/names.ts";
import { poolQueries, poolSignals } from "../../../src/contract/pool-api.ts";
import { countEvents, createPodByHand, deletions, expectNothingLeft, livingWorkers } from "../../kit/lifecycle.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

describe("invariant 17: what the provider cannot mean", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ launch: createLightPodLauncher(), env: { MAX_HOURLY_SPEND_USD: "1" } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const pool = () => stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  const hold = async (target: number) => await pool().signal(poolSignals.scale, { target });
  const firstPodIs = async (id: string) =>
    await stack.rows(
      "select status, cost_per_hr_usd as price, pod_created_at between posted_at and now() as in_time from workers where pod_id = $1",
      [id],
    );

  it("a price of 0 is no price: one worker runs under a cap, not four; odd dates and texts do not keep its pod from its row", async () => {
    const fields = {
      cost: 0,
      createdAt: "2026-11-29 20:57:28.123 +0000 UTC",
      gpu: "\ud83c\0",
      runtime: [],
      locked: null,
    };
    stack.simulator.addFault({ on: "create", kind: "odd-fields", fields, times: 4 });
    await hold(4);
    await expect.poll(async () => (await livingWorkers(stack))[0]?.status).toBe("active");
    // This decision saw the active worker, and the cap held back the other three.
    const decided = async () => (await pool().query(poolQueries.status)).snapshot;
    await expect.poll(decided).toMatchObject({ rule: "budget", idle: 1, spawning: 0 });
    const { pods } = stack.simulator.ledger();
    expect(pods).toHaveLength(1);
    expect(await firstPodIs(pods[0]?.id ?? "")).toEqual([{ status: "active", price: null, in_time: true }]);
    expect(await countEvents(stack, "pod.created")).toBe(1);
    stack.simulator.clearFaults();
  });

  it("foreign pods of any shape in the account's list do not keep a worker from its end", async () => {
    const foreign = [
      await createPodByHand(stack, "notebook", null, { name: null }),
      await createPodByHand(stack, "notebook", null, { name: 7, status: null, env: [], cost: "free", runtime: "up" }),
      await createPodByHand(stack, "notebook", null, { id: null, name: "\ud83c\0" }),
    ];
    const entries = [null, 7, [], {}, { id: 7 }];
    stack.simulator.addFault({ on: "list", kind: "odd-entries", entries, times: 1_000 });
    await hold(0);
    const withId = stack.simulator.ledger().pods.filter(({ name }) => name === "notebook");
    await expectNothingLeft(
      stack,
      withId.map(({ id }) => id),
    );
    expect(withId.filter(({ live }) => live)).toHaveLength(foreign.length);
    stack.simulator.clearFaults();
  });

  it("a delete that is put off for an hour is repeated within a minute", async () => {
    await hold(1);
    await expect.poll(async () => (await livingWorkers(stack))[0]?.status).toBe("active");
    const [worker] = await livingWorkers(stack);
    const podId = worker?.pod_id ?? "";
    stack.simulator.addFault({ on: "delete", kind: "rate-limited", retryAfterSec: 3_600 });
    await hold(0);
    await expect.poll(() => deletions(stack.simulator.requests(), podId)).toEqual([429]);
    const workflow = stack.temporal.workflow.getHandle(workerWorkflowId(stack.pool, worker?.id ?? ""));
    const pause = async () => {
      const { raw } = await workflow.describe();
      const pending = raw.pendingActivities?.find(({ activityType }) => activityType?.name === "removePod");
      return Number(pending?.currentRetryInterval?.seconds ?? 0);
    };
    await expect.poll(pause).toBe(60);
    await workflow.terminate("the test is over");
  });
});
