import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { countTasks, expectDoneOnce, expectNothingLeft, LONG, workerStates } from "../../kit/lifecycle.ts";

describe("a worker that reaches its maximum lifetime", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { WORKER_MAX_LIFETIME_SEC: "8", MAX_ACTIVE_GPUS: "1" } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("finishes its task before it goes, while its replacement takes the next one", async () => {
    const [long = ""] = await stack.submit(1, LONG);
    const [next = ""] = await stack.submit(1);
    await expect.poll(() => countTasks(stack, "In Progress")).toBe(1);
    const pod = stack.simulator.ledger().pods.find(({ live }) => live)?.pid;
    // Halted until it is drained, so that its task ends after that however fast this machine renders.
    process.kill(-(pod ?? 0), "SIGSTOP");
    await expect.poll(async () => (await workerStates(stack))[0]?.status).toBe("terminating");
    process.kill(-(pod ?? 0), "SIGCONT");
    await expectDoneOnce(stack, [long, next]);
    await expectNothingLeft(stack);

    expect(await stack.rows("select 1 from task_attempts where cause <> 'completed'")).toEqual([]);
    const [rotated, replacement] = await workerStates(stack);
    expect(rotated).toMatchObject({ status: "terminated", status_reason: "maximum lifetime of 8 s reached" });
    const held = await stack.rows<{ worker_id: string; after_drain: boolean }>(
      `select a.worker_id, a.ended_at > w.terminating_at as after_drain
       from task_attempts a join workers w on w.id = a.worker_id where a.task_id = any($1) order by a.task_id = $2 desc`,
      [[long, next], long],
    );
    expect(held[0]).toEqual({ worker_id: rotated?.id, after_drain: true });
    expect(held[1]?.worker_id).toBe(replacement?.id);
  });
});
