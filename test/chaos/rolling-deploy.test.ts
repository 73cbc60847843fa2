import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { poolQueries, poolUpdates } from "../../src/contract/pool-api.ts";
import { poolWorkflowId } from "../../src/contract/names.ts";
import { makeBuild } from "../kit/builds.ts";
import { PATIENCE_MS } from "../kit/patience.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { expectDoneOnce, expectNothingLeft, killHard, livingWorkers } from "../kit/lifecycle.ts";

/** The later version's plans hold a new kind of action. */
const NEW_ACTION = {
  file: "src/policy/decide.ts",
  from: "return [...drains, {",
  to: 'return [{ kind: "rebalance" } as never, ...drains, {',
};

describe("a rolling deploy: Temporal workers of two versions with different settings at once", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { TASKS_PER_GPU_THRESHOLD: "1" } });
  });
  afterAll(async () => await stack?.close());

  /** A Temporal worker process, as a deploy starts it. */
  function deploy(settings: Readonly<Record<string, string>>): ManagedProcess {
    return stack.startTemporalWorker(undefined, settings);
  }

  const query = async () =>
    await stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool)).query(poolQueries.config);
  const inForce = async () => {
    try {
      return (await query()).settings?.values;
    } catch {
      return null;
    }
  };

  /** Expects no repeated decisions, however often the processes alternate. */
  async function expectNoSpinning(): Promise<void> {
    const [counted] = await stack.rows<{ decisions: number; messages: number; booked: number }>(
      `select count(*) filter (where kind = 'decision')::int as decisions,
         count(*) filter (where kind like 'message.%')::int as messages,
         (select count(*)::int from workers) as booked
       from pool_events`,
    );
    const { decisions, messages, booked } = counted ?? { decisions: 0, messages: 0, booked: 0 };
    expect(decisions).toBeGreaterThan(0);
    // Each worker is booked, signalled ready, drained and released, each by at most one decision; a message may overtake one.
    expect(decisions).toBeLessThanOrEqual(4 * booked + messages);
  }

  it("the newest one's settings are in force whichever process watches, so the two never undo each other's work or repeat it", async () => {
    const old = deploy({ MIN_ACTIVE_GPUS: "1", MAX_ACTIVE_GPUS: "2" });
    await stack.startPool();
    await expect.poll(inForce).toMatchObject({ minActiveGpus: 1, maxActiveGpus: 2 });
    await expect.poll(async () => (await livingWorkers(stack)).length).toBe(1);

    const later = await makeBuild(stack, "later", [NEW_ACTION]);
    const next = later.start({ MIN_ACTIVE_GPUS: "3", MAX_ACTIVE_GPUS: "3", SCALING_POLICY: "workload" });
    const active = async () => (await livingWorkers(stack)).filter(({ status }) => status === "active").length;
    const booked = async () => (await stack.rows("select 1 from workers")).length;
    let target = 1;
    const handle = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
    await expect
      .poll(async () => {
        // Each decision ends a watch, and either process may run the next one.
        target = 3 - target;
        await handle.executeUpdate(poolUpdates.scale, { args: [{ target }] });
        const size = async () => (await livingWorkers(stack)).length;
        // Shorter than the condition around it, so that a size that does not come is reported as such.
        await expect.poll(size, { timeout: PATIENCE_MS / 2 }).toBe(target);
        return await inForce();
      })
      .toMatchObject({ minActiveGpus: 3, maxActiveGpus: 3, policy: "workload" });
    await handle.executeUpdate(poolUpdates.scale, { args: [{ target: null }] });
    await expect.poll(active).toBe(3);

    const before = await booked();
    const ids = await stack.submit(12);
    await expectDoneOnce(stack, ids);
    expect(await livingWorkers(stack)).toHaveLength(3);
    expect(await booked()).toBe(before);
    expect(stack.simulator.ledger().pods).toHaveLength(before);

    const unknown = "select 1 from pool_events where details -> 'actions' @> '[{\"kind\": \"rebalance\"}]'";
    expect((await stack.rows(unknown)).length).toBeGreaterThan(0);

    // The deploy ends the old process with SIGTERM, as an orchestrator does.
    process.kill(old.pid, "SIGTERM");
    await old.exited;
    await handle.executeUpdate(poolUpdates.shutdown);
    await handle.result();
    await expectNothingLeft(stack);
    await expectNoSpinning();
    await killHard(next);
  });
});
