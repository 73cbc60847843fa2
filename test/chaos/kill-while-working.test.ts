import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import {
  countEvents,
  countTasks,
  expectDoneOnce,
  expectNothingLeft,
  killHard,
  livingWorkers,
  LONG,
  setSpawningTimeout,
  workerStates,
} from "../kit/lifecycle.ts";

const SPAWNING_TIMEOUT_SEC = 6;

describe("a Temporal worker that is killed while pods are at work", () => {
  let stack: TestStack;
  let serving: ManagedProcess;
  beforeAll(async () => {
    stack = await startTestStack({ env: { TASKS_PER_GPU_THRESHOLD: "1", MAX_ACTIVE_GPUS: "2" } });
    serving = stack.startTemporalWorker();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("does not disturb the running tasks: they end on the pods that they began on", async () => {
    const ids = await stack.submit(2, LONG);
    await expect.poll(() => countTasks(stack, "In Progress")).toBe(2);
    await killHard(serving);
    serving = stack.startTemporalWorker();

    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack);
    const workers = await workerStates(stack);
    expect(workers.map(({ status }) => status)).toEqual(["terminated", "terminated"]);
    expect(await stack.rows("select 1 from task_attempts where cause <> 'completed'")).toEqual([]);
  });

  it("invariant 8: does not end a pod that became ready while no watch ran, although its spawn deadline has passed", async () => {
    const booked = (await workerStates(stack)).length;
    await setSpawningTimeout(stack, SPAWNING_TIMEOUT_SEC);
    // The pod must boot only after the kill.
    stack.simulator.configure({ startingMs: 3000 });
    const ids = await stack.submit(2, LONG);
    await expect
      .poll(async () => (await livingWorkers(stack)).map(({ post_state }) => post_state))
      .toEqual(["posted", "posted"]);
    await killHard(serving);
    const isPastDeadline = async () =>
      await stack.rows(
        `select 1 from workers where gone_at is null and status = 'active'
           and now() > pod_created_at + make_interval(secs => $1)`,
        [SPAWNING_TIMEOUT_SEC + 1],
      );
    await expect.poll(isPastDeadline).toHaveLength(2);
    const survivors = await livingWorkers(stack);
    serving = stack.startTemporalWorker();

    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack);
    expect(await countEvents(stack, "worker.fail")).toBe(0);
    expect((await workerStates(stack)).slice(booked)).toMatchObject(
      survivors.map(({ id }) => ({ id, status: "terminated" })),
    );
  });
});
