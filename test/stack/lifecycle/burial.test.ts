import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { createPodByHand, expectDoneOnce, expectNothingLeft, livingWorkers } from "../../kit/lifecycle.ts";
import { poolSignals } from "../../../src/contract/pool-api.ts";

describe("the end of pods", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ simulator: { deleteLagSec: 2 } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const hold = async (target: number | null) =>
    await stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool)).signal(poolSignals.scale, { target });

  it("invariant 2: a worker stays terminating until its pod is seen to be gone, through failing deletes and unknown lists", async () => {
    await hold(1);
    await expect.poll(async () => (await livingWorkers(stack))[0]?.status).toBe("active");
    stack.simulator.addFault({ on: "delete", kind: "error", times: 2 });
    stack.simulator.addFault({ on: "delete", kind: "reset" });
    stack.simulator.addFault({ on: "list", kind: "error", times: 2 });
    stack.simulator.addFault({ on: "list", kind: "garbage" });
    await hold(0);
    const deletes = () => stack.simulator.requests().filter(({ method }) => method === "DELETE");
    await expect.poll(() => deletes().length).toBeGreaterThanOrEqual(3);
    expect(await livingWorkers(stack)).toMatchObject([{ status: "terminating", gone: false }]);

    await expectNothingLeft(stack);
    expect(
      deletes()
        .slice(0, 3)
        .map(({ status }) => status),
    ).toEqual([500, 500, null]);
    const [pod] = stack.simulator.ledger().pods;
    const rows = await stack.rows<{ status: string; after: boolean }>(
      "select status, gone_at > $1 as after from workers",
      [pod?.endedAt],
    );
    expect(rows).toEqual([{ status: "terminated", after: true }]);
  });

  it("invariant 14: a pod of another deployment is never touched, whatever its name", async () => {
    await hold(null);
    const ids = await stack.submit(4);
    await expect.poll(async () => (await livingWorkers(stack))[0]?.pod_id ?? null).not.toBeNull();
    const [worker] = await livingWorkers(stack);
    const foreign = [
      await createPodByHand(stack, "another-0a1b2c3d", stack.deployment),
      await createPodByHand(stack, `${stack.pool}-0a1b2c3d`, null),
      await createPodByHand(stack, `${stack.pool}-4e5f6a7b`, "another-deployment"),
      await createPodByHand(stack, worker?.id ?? "", "another-deployment"),
    ];
    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack, foreign);

    const ledger = stack.simulator.ledger();
    expect(
      ledger.pods
        .filter(({ live }) => live)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([...foreign].sort());
    const touched = stack.simulator
      .requests()
      .filter(({ method, path }) => method !== "GET" && foreign.some((id) => path.includes(id)));
    expect(touched).toEqual([]);
  });
});
