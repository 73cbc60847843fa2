import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import {
  expectDoneOnce,
  expectNothingLeft,
  killHard,
  type ProviderGate,
  startProviderGate,
  workerStates,
} from "../kit/lifecycle.ts";

describe("a Temporal worker that is killed while it creates pods", () => {
  let gate: ProviderGate;
  let stack: TestStack;
  beforeAll(async () => {
    gate = await startProviderGate();
    stack = await startTestStack({ env: { RUNPOD_API_URL: gate.apiUrl } });
    gate.connect(stack.simulator.url);
  });
  afterAll(async () => {
    await stack?.close();
    await gate?.close();
  });

  it("invariant 1: leaves one pod per name, whether it died before the request, before the answer or after the record", async () => {
    gate.holdCreates("before", "after", "pass");
    const ids = await stack.submit(7);
    const victim = stack.startTemporalWorker();
    await stack.startPool();
    await expect.poll(() => gate.held().before.length + gate.held().after.length).toBe(2);
    await expect
      .poll(async () => (await workerStates(stack)).map(({ post_state }) => post_state ?? "").sort())
      .toEqual(["posted", "posting", "posting"]);
    await killHard(victim);
    const [unsent] = gate.held().before;
    const [unanswered] = gate.held().after;

    stack.startTemporalWorker();
    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack);

    const workers = await workerStates(stack);
    const rowOf = (name: string | undefined) => workers.find(({ id }) => id === name);
    expect(rowOf(unsent)).toMatchObject({ status: "error", post_state: "burned", pod_id: null });
    expect(rowOf(unanswered)).toMatchObject({ status: "terminated", post_state: "posted" });
    const podsOf = (name: string | undefined) => stack.simulator.ledger().pods.filter((pod) => pod.name === name);
    expect(podsOf(unsent)).toEqual([]);
    expect(podsOf(unanswered)).toHaveLength(1);
    expect(podsOf(unanswered)[0]?.id).toBe(rowOf(unanswered)?.pod_id);
    const journal = await stack.rows<{ kind: string; worker_id: string }>(
      "select kind, worker_id from pool_events where kind in ('pod.adopted', 'pod.name_burned') order by kind",
    );
    expect(journal).toEqual([
      { kind: "pod.adopted", worker_id: unanswered },
      { kind: "pod.name_burned", worker_id: unsent },
    ]);
  });
});
