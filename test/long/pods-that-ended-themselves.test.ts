import { afterEach, describe, expect, it } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { PATIENCE_MS } from "../kit/patience.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { deletions, expectNothingLeft, killHard, livingWorkers, notDoneOnce, workerStates } from "../kit/lifecycle.ts";

/** A task that cannot be rendered before the worker's maximum lifetime. */
const LONG = { prompt: "a river", frames: 1_000, fps: 30, width: 1_280, height: 720 };

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of undo.splice(0).reverse()) {
    await end();
  }
});

describe("pods that ended themselves while the Temporal worker was away", () => {
  it("leave rows that end terminated, not in error, by the rotation that became due in the meantime", async () => {
    const stack = await startServedStack({ MIN_ACTIVE_GPUS: "1", WORKER_MAX_LIFETIME_SEC: "20" });
    await expect.poll(async () => (await workerStates(stack))[0]?.status).toBe("active");
    const { id, revive } = await untilPodHasEndedItself(stack);
    expect(await livingWorkers(stack)).toMatchObject([{ id, status: "active" }]);
    revive();
    await expectRotated(stack, id, 20);
  });

  it("finish the task first if a rotation is under way, and their rows end terminated", async () => {
    const stack = await startServedStack({ MIN_ACTIVE_GPUS: "0", WORKER_MAX_LIFETIME_SEC: "8" });
    const [task = ""] = await stack.submit(1, LONG);
    const busyInRotation = async () =>
      await stack.rows(
        `select 1 from workers w join task_attempts a on a.worker_id = w.id
         where w.status = 'terminating' and a.ended_at is null`,
      );
    await expect.poll(busyInRotation).toHaveLength(1);
    const { id, revive } = await untilPodHasEndedItself(stack);
    expect(await notDoneOnce(stack, [task])).toEqual([]);
    revive();
    await expectRotated(stack, id, 8);
    expect(await stack.rows("select 1 from task_attempts where cause <> 'completed'")).toEqual([]);
    await expectNothingLeft(stack);
  });
});

interface ServedStack extends TestStack {
  serving: ManagedProcess;
}

/** Lists are read as rarely as in production. */
async function startServedStack(env: Readonly<Record<string, string>>): Promise<ServedStack> {
  const stack = await startTestStack({ env: { MAX_ACTIVE_GPUS: "1", POD_LIST_SEC: "30", ...env } });
  undo.push(() => stack.close());
  const serving = stack.startTemporalWorker();
  await stack.startPool();
  return { ...stack, serving };
}

/** Kills the Temporal worker and waits until the newest GPU worker's pod has ended itself. */
async function untilPodHasEndedItself(stack: ServedStack): Promise<{ id: string; revive: () => void }> {
  const worker = (await livingWorkers(stack)).at(-1);
  await killHard(stack.serving);
  // The pod renders to its end first, which takes minutes on a busy machine.
  await expect.poll(() => stack.simulator.ledger().totals.live, { timeout: 3 * PATIENCE_MS }).toBe(0);
  expect(deletions(stack.simulator.requests(), worker?.pod_id ?? "")).toEqual([204]);
  return { id: worker?.id ?? "", revive: () => void stack.startTemporalWorker() };
}

async function expectRotated(stack: TestStack, id: string, lifetimeSec: number): Promise<void> {
  const state = async () => (await workerStates(stack)).find((worker) => worker.id === id);
  await expect.poll(async () => (await state())?.gone).toBe(true);
  const status_reason = `maximum lifetime of ${lifetimeSec} s reached`;
  expect(await state()).toMatchObject({ status: "terminated", status_reason });
}
