import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import {
  countEvents,
  createPodByHand,
  expectDoneOnce,
  expectNoTwins,
  expectNothingLeft,
  livingWorkers,
  workerStates,
} from "../../kit/lifecycle.ts";
import { poolSignals } from "../../../src/contract/pool-api.ts";

describe("create requests without a clear answer", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { POD_LIST_LAG_SEC: "2" } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const hold = async (target: number) =>
    await stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool)).signal(poolSignals.scale, { target });
  const statuses = async () => (await livingWorkers(stack)).map(({ status }) => status);

  it("invariant 1: adopt the pod that was created nevertheless, also when lists show it late", async () => {
    stack.simulator.addFault({ on: "create", kind: "error", created: true, listLagMs: 2000 });
    stack.simulator.addFault({ on: "create", kind: "reset", created: true });
    stack.simulator.addFault({ on: "create", kind: "garbage", created: true });
    const ids = await stack.submit(3);
    await hold(3);
    await expect.poll(statuses).toEqual(["active", "active", "active"]);
    await expect.poll(() => countEvents(stack, "pod.adopted")).toBe(3);
    await expectDoneOnce(stack, ids);
    expect(stack.simulator.ledger().totals).toMatchObject({ pods: 3, live: 3 });

    await hold(0);
    await expectNothingLeft(stack);
    const workers = await workerStates(stack);
    expect(workers.map(({ status, post_state }) => `${status} ${post_state}`)).toEqual(
      Array(3).fill("terminated posted"),
    );
    const podIds = stack.simulator.ledger().pods.map(({ id }) => id);
    expect(workers.map(({ pod_id }) => pod_id ?? "").sort()).toEqual(podIds.sort());
  });

  it("invariant 1: burn the name when no pod appears, and the replacement has a new one", async () => {
    const before = await workerStates(stack);
    stack.simulator.addFault({ on: "create", kind: "error", created: false });
    stack.simulator.addFault({ on: "create", kind: "reset", created: false });
    await hold(2);
    await expect.poll(statuses).toEqual(["active", "active"]);
    await hold(0);
    await expectNothingLeft(stack);
    const workers = (await workerStates(stack)).slice(before.length);
    expect(workers.map(({ status, post_state }) => `${status} ${post_state}`)).toEqual([
      "error burned",
      "error burned",
      "terminated posted",
      "terminated posted",
    ]);
    expect(stack.simulator.ledger().pods).toHaveLength(before.length + 2);
  });

  it("invariant 1: delete a pod that shows a burned name later", async () => {
    stack.simulator.addFault({ on: "create", kind: "garbage", created: false });
    await hold(1);
    const burned = async () => (await livingWorkers(stack)).find(({ post_state }) => post_state === "burned")?.id;
    await expect.poll(burned).toBeDefined();
    const name = (await burned()) ?? "";
    const late = await createPodByHand(stack, name, stack.deployment);
    await expect
      .poll(() => stack.simulator.ledger().pods.find(({ id }) => id === late))
      .toMatchObject({ endCause: "deleted" });
    await hold(0);
    await expectNothingLeft(stack);
    const { endedAt } = stack.simulator.ledger().pods.find(({ id }) => id === late) ?? {};
    const [row] = await stack.rows<{ after: boolean }>("select gone_at > $2 as after from workers where id = $1", [
      name,
      endedAt,
    ]);
    expect(row?.after).toBe(true);
    expectNoTwins(stack);
  });
});
