import { WorkflowFailedError } from "@temporalio/client";
import { CancelledFailure } from "@temporalio/common";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolQueries, poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import {
  countEvents,
  countTasks,
  expectDoneOnce,
  expectNothingLeft,
  livingWorkers,
  notDoneOnce,
  LONG,
  temporalCliOk,
} from "../../kit/lifecycle.ts";

describe("the runs of a pool's workflow", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { MAX_ACTIVE_GPUS: "2", TASKS_PER_GPU_THRESHOLD: "1" } });
    await stack.serve();
    await stack.startPool({ maxHistoryLength: 40 });
  });
  afterAll(async () => await stack?.close());

  const pool = () => stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  const status = async () => await pool().query(poolQueries.status);

  it("continue as new through a whole job and lose neither a task, a worker nor a message", async () => {
    const { runId: firstRun } = await pool().describe();
    const ids = await stack.submit(6);
    for (let sent = 0; sent < 12; sent += 1) {
      await pool().signal(poolSignals.scale, { target: 1 + (sent % 2) });
    }
    for (let sent = 0; sent < 6; sent += 1) {
      await pool().executeUpdate(poolUpdates.scale, { args: [{ target: sent === 5 ? null : 2 }] });
    }
    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack);

    expect(await countEvents(stack, "message.scale")).toBe(18);
    expect((await pool().describe()).runId).not.toBe(firstRun);
    // The shown state may be ten seconds older than the rows.
    const intent = async () => (await status()).snapshot?.intent;
    await expect.poll(intent).toMatchObject({ mode: "normal", hold: null, version: 18 });
    const shown = await status();
    expect(shown.messages).toBe(18);
    const [decisions] = await stack.rows<{ n: number }>(
      "select count(distinct decision_id)::int as n from pool_events where kind = 'decision'",
    );
    expect(shown.watches).toBeGreaterThanOrEqual(decisions?.n ?? 0);
  });

  it("go on after a terminate: the living workers keep their tasks, and hold and mode survive", async () => {
    const podsBefore = stack.simulator.ledger().totals.pods;
    const ids = await stack.submit(4, LONG);
    await pool().executeUpdate(poolUpdates.scale, { args: [{ target: 2 }] });
    await expect.poll(() => countTasks(stack, "In Progress")).toBe(2);
    await pool().executeUpdate(poolUpdates.pause);
    const workers = (await livingWorkers(stack)).map(({ id }) => id);
    await temporalCliOk(stack, ["workflow", "terminate", "--reason", "an accident"]);
    expect((await pool().describe()).status.name).toBe("TERMINATED");
    await stack.startPool();

    await expect.poll(async () => (await status()).snapshot?.intent).toMatchObject({ mode: "paused", hold: 2 });
    expect((await livingWorkers(stack)).map(({ id }) => id)).toEqual(workers);
    await pool().executeUpdate(poolUpdates.resume);
    await expectDoneOnce(stack, ids);
    const doers = await stack.rows<{ worker_id: string }>(
      "select distinct worker_id from task_attempts where task_id = any($1) order by 1",
      [ids],
    );
    expect(doers.map(({ worker_id }) => worker_id).sort()).toEqual([...workers].sort());
    await pool().executeUpdate(poolUpdates.scale, { args: [{ target: null }] });
    await expectNothingLeft(stack);
    expect(stack.simulator.ledger().totals.pods).toBe(podsBefore + 2);
  });

  it("close as cancelled only when every task under way has ended and no pod is left", async () => {
    const ids = await stack.submit(3, LONG);
    await expect.poll(() => countTasks(stack, "In Progress")).toBe(2);
    const completedBefore = await countTasks(stack, "Complete");
    await pool().cancel();

    const error: unknown = await pool()
      .result()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect((await pool().describe()).status.name).toBe("CANCELLED");
    expect(stack.simulator.ledger().totals.live).toBe(0);
    expect(await livingWorkers(stack)).toEqual([]);

    const complete = (
      await stack.rows<{ id: string }>("select id from tasks where status = 'Complete' and id = any($1)", [ids])
    ).map(({ id }) => id);
    expect(complete.length).toBeGreaterThanOrEqual(2);
    expect(await countTasks(stack, "Complete")).toBeGreaterThanOrEqual(completedBefore + 2);
    expect(await notDoneOnce(stack, complete)).toEqual([]);
    expect(await countTasks(stack, "Queued")).toBe(3 - complete.length);
    expect(await stack.rows("select 1 from task_attempts where cause <> 'completed'")).toEqual([]);
  });
});
