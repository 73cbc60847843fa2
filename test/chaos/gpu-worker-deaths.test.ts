import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { expectDoneOnce, expectNothingLeft, LONG, shorten } from "../kit/lifecycle.ts";

interface Attempt {
  readonly worker_id: string;
  readonly cause: string;
  readonly error: string | null;
  readonly counted: number;
}

describe("a GPU worker that dies in the middle of a task", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { GPU_IDLE_TIMEOUT_SEC: "5" }, simulator: { stopGraceMs: 500 } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("invariant 5: if killed, loses its lease with the cause worker_died, and another worker does the task", async () => {
    const { ids, pod } = await meetAtWork();
    expect(stack.simulator.killPod(pod.id)).toBe(true);

    const [first, second] = await attemptsOf(ids);
    expect(first).toMatchObject({ worker_id: pod.name, cause: "worker_died", counted: 2 });
    expect(first?.error).toContain(pod.id);
    expect(second?.cause).toBe("completed");
    expect(second?.worker_id).not.toBe(pod.name);
  });

  it("invariant 8: if silent while its pod runs on, is ended for the age of its heartbeat", async () => {
    const { ids, pod } = await meetAtWork();
    process.kill(-pod.pid, "SIGSTOP");
    try {
      const [first, second] = await attemptsOf(ids);
      expect(first).toMatchObject({ worker_id: pod.name, cause: "worker_died", counted: 2 });
      expect(first?.error).toContain("no heartbeat");
      expect(second?.cause).toBe("completed");
    } finally {
      resume(pod.pid);
    }
  });

  it("invariant 5: if its pod vanished at the provider, costs the task no attempt", async () => {
    const { ids, pod } = await meetAtWork();
    expect(stack.simulator.vanishPod(pod.id)).toBe(true);

    const [first, second] = await attemptsOf(ids);
    expect(first).toMatchObject({ worker_id: pod.name, cause: "host_lost", counted: 1 });
    expect(second?.cause).toBe("completed");
    await expectNothingLeft(stack);
  });

  /** Submits one task, waits until a pod works on it, and makes the task short for the pod after that. */
  async function meetAtWork() {
    // Long enough to find the worker busy between its first progress report, after two seconds, and its end.
    const ids = await stack.submit(1, { ...LONG, frames: 3 * LONG.frames });
    const holder = async () =>
      (
        await stack.rows<{ worker_id: string }>(
          "select worker_id from task_attempts where task_id = any($1) and progress > 0 and ended_at is null",
          [ids],
        )
      )[0]?.worker_id;
    await expect.poll(holder).toBeDefined();
    const name = await holder();
    const pod = stack.simulator.ledger().pods.find((entry) => entry.name === name);
    if (pod?.pid == null) {
      throw new Error(`no pod named ${name} is at work; make the task longer`);
    }
    await shorten(stack, ids);
    return { ids, pod: { id: pod.id, name: pod.name, pid: pod.pid } };
  }

  async function attemptsOf(ids: readonly string[]): Promise<Attempt[]> {
    await expectDoneOnce(stack, ids);
    const attempts = await stack.rows<Attempt>(
      `select a.worker_id, a.cause, a.error, t.attempts as counted
       from task_attempts a join tasks t on t.id = a.task_id where a.task_id = any($1) order by a.attempt`,
      [ids],
    );
    expect(attempts).toHaveLength(2);
    return attempts;
  }
});

function resume(group: number): void {
  try {
    process.kill(-group, "SIGCONT");
  } catch {
    // The provider has ended this pod already.
  }
}
