import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PoolSettingsAnswer, PoolExplanation, WorkerOrderOutcome } from "../../src/contract/pool-api.ts";
import { runClient } from "../kit/client.ts";
import { without } from "../kit/deployment/tools.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { hasTmux, openTerminal } from "../kit/terminal/tmux.ts";
import {
  countEvents,
  countTasks,
  expectDoneOnce,
  expectNothingLeft,
  livingWorkers,
  LONG,
  shorten,
  temporalCli,
  temporalCliOk,
  workerStates,
} from "../kit/lifecycle.ts";

describe("orders and queries by the temporal command, beyond size", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { MAX_ACTIVE_GPUS: "2", TASKS_PER_GPU_THRESHOLD: "1" } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const update = async (name: string, input?: unknown) => {
    const given = input === undefined ? [] : ["--input", JSON.stringify(input)];
    return await temporalCli(stack, ["workflow", "update", "execute", "-o", "json", "--name", name, ...given]);
  };
  async function updateOk<T>(name: string, input?: unknown): Promise<T> {
    const { exitCode, stdout, stderr } = await update(name, input);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return (JSON.parse(stdout) as { result: T }).result;
  }
  async function query<T>(name: string): Promise<T> {
    const stdout = await temporalCliOk(stack, ["workflow", "query", "-o", "json", "--name", name]);
    return (JSON.parse(stdout) as { queryResult: [T] }).queryResult[0];
  }
  const held = async () => (await livingWorkers(stack)).filter(({ status }) => status === "active");

  it("reconfigure changes the pool at once, shows in the query config, and names the error in a wrong setting", async () => {
    const answer = await updateOk<PoolSettingsAnswer>("reconfigure", { minActiveGpus: 1, machinesToKeepIdle: 0 });
    expect(answer.settings).toMatchObject({
      own: ["machinesToKeepIdle", "minActiveGpus"],
      values: { minActiveGpus: 1, maxActiveGpus: 2 },
    });
    await expect.poll(held).toHaveLength(1);
    for (const [patch, says] of [
      [{ maxActiveGpus: -1 }, "maxActiveGpus=-1"],
      [{ minActiveGpus: 3 }, "minActiveGpus=3 would be above maxActiveGpus=2"],
      [{ SUPABASE_SERVICE_ROLE_KEY: "x" }, "SUPABASE_SERVICE_ROLE_KEY: no setting"],
      [{ scalingPolicy: "x" }, "scalingPolicy: no setting"],
      [{ policy: "guess" }, 'policy="guess"'],
    ] as const) {
      const { exitCode, stderr } = await update("reconfigure", patch);
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain(says);
    }
    const { fingerprint, own } = answer.settings ?? {};
    expect((await query<PoolSettingsAnswer>("config")).settings).toMatchObject({ fingerprint, own });
    const after = await updateOk<PoolSettingsAnswer>("reconfigure", { minActiveGpus: null, machinesToKeepIdle: null });
    expect(after.settings).toMatchObject({ own: [], values: { minActiveGpus: 0 } });
    await expectNothingLeft(stack);
  });

  it("the watch has recorded the last minute, and the dashboard shows the pool that it observes", async () => {
    const recorded = () => stack.rows("select minute from pool_minutes where pool = $1", [stack.pool]);
    await expect.poll(recorded).not.toEqual([]);
    const { exitCode, stdout } = await runClient(["dashboard", "--export"], { cwd: tmpdir(), env: stack.env });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      pool: stack.pool,
      mode: "normal",
      observedAt: expect.any(String) as string,
      minutes: expect.arrayContaining([expect.objectContaining({ completed: 0 })]) as unknown,
    });
  });

  it.skipIf(!hasTmux)(`the dashboard gives the orders of its keys${without(hasTmux, "tmux")}`, async () => {
    const { shows, press, close } = await openTerminal(["dashboard"], { columns: 100, rows: 30, env: stack.env });
    try {
      await expect.poll(shows).toContain("q quit");
      for (const [key, question, mode] of [
        ["p", "pause pool", "paused, no scaling either way"],
        ["r", "resume pool", "the policy decides its size"],
      ] as const) {
        await press(key);
        await expect.poll(shows).toContain(question);
        await press("y");
        await expect.poll(async () => (await shows()).split("\n")[0]).toContain(mode);
      }
    } finally {
      await close();
    }
  });

  it("the policy can be switched while the pool runs", async () => {
    const booked = async () => (await workerStates(stack)).length;
    const before = await booked();
    await updateOk("pause");
    const ids = await stack.submit(2);
    await updateOk("reconfigure", { policy: "workload", tasksPerGpuThreshold: 100 });
    await updateOk("resume");
    const rule = async () => (await query<PoolExplanation>("explain")).decisions.map((decision) => decision.rule);
    await expect.poll(rule).toContain("workload");
    // A decision shows before its workers are booked.
    await expect.poll(booked).toBe(before + 2);
    await expectDoneOnce(stack, ids);
    expect(await booked()).toBe(before + 2);
    await updateOk("reconfigure", { policy: null, tasksPerGpuThreshold: null });
    await expectNothingLeft(stack);
  });

  it("drainWorker lets the task of one worker end and leaves the others alone", async () => {
    await updateOk("scale", { target: 2 });
    await expect.poll(held).toHaveLength(2);
    const ids = await stack.submit(1, LONG);
    await expect.poll(() => countTasks(stack, "In Progress")).toBe(1);
    const [holder] = await stack.rows<{ worker_id: string }>(
      "select worker_id from task_attempts where ended_at is null",
    );
    const worker = holder?.worker_id ?? "";
    expect(await updateOk<WorkerOrderOutcome>("drainWorker", { worker, reason: "old driver" })).toEqual({
      outcome: "ordered",
      status: "active",
    });
    await expectDoneOnce(stack, ids);
    const stateOf = async () => (await workerStates(stack)).find(({ id }) => id === worker);
    await expect.poll(stateOf).toMatchObject({ status: "terminated", status_reason: "old driver" });
    expect(
      await stack.rows("select 1 from task_attempts where worker_id = $1 and cause <> 'completed'", [worker]),
    ).toEqual([]);
    // The hold is still in force, so another worker replaces it.
    await expect.poll(held).toHaveLength(2);
    expect(await updateOk("drainWorker", { worker: "nobody" })).toMatchObject({ outcome: "unknown" });
    expect(await updateOk("drainWorker", { worker })).toMatchObject({ outcome: "not_living" });
    expect((await update("drainWorker", { worker: 7 })).stderr).toContain("worker: expected");
  });

  it("terminateWorker ends a worker at once; its task goes back uncounted and is done by another", async () => {
    // The command has to reach the worker while it is at work.
    const ids = await stack.submit(1, { ...LONG, frames: 2 * LONG.frames });
    await expect.poll(() => countTasks(stack, "In Progress")).toBe(1);
    const [holder] = await stack.rows<{ worker_id: string }>(
      "select worker_id from task_attempts where ended_at is null",
    );
    await shorten(stack, ids);
    await updateOk("terminateWorker", { worker: holder?.worker_id });
    await expectDoneOnce(stack, ids);
    const attempts = await stack.rows<{ cause: string; attempts: number }>(
      "select a.cause, t.attempts from task_attempts a join tasks t on t.id = a.task_id where t.id = any($1) order by a.started_at",
      [ids],
    );
    expect(attempts).toEqual([
      { cause: "drained", attempts: 1 },
      { cause: "completed", attempts: 1 },
    ]);
  });

  it("explain gives the reason of each decision in one sentence, with inputs and actions", async () => {
    await updateOk("scale", { target: null });
    await expectNothingLeft(stack);
    const ids = await stack.submit(7);
    await expectDoneOnce(stack, ids);
    const { decisions } = await query<PoolExplanation>("explain");
    const growth = decisions.find(({ actions }) => actions.some(({ kind }) => kind === "spawn"));
    expect(growth).toMatchObject({
      rule: "max",
      reason: expect.stringMatching(/7 queued .* capped by MAX 2/),
      actions: [{ kind: "spawn", count: 2 }],
      inputs: { queued: 7, desired: 2, spawning: 0, breaker: "closed" },
    });
  });

  it("a pool that is terminated and started again keeps its config, its hold and the breaker's state", async () => {
    await updateOk("reconfigure", { scaleDownIdleSec: 2, minWorkersForRateCheck: 3 });
    await updateOk("scale", { target: 1 });
    await stack.rows("update pools set breaker = 'open', breaker_since = now() where name = $1", [stack.pool]);
    await temporalCliOk(stack, ["workflow", "terminate"]);
    await stack.startPool();
    const config = async () => (await query<PoolSettingsAnswer>("config")).settings?.values;
    await expect.poll(config).toMatchObject({ scaleDownIdleSec: 2, minWorkersForRateCheck: 3 });
    const { now } = await query<PoolExplanation>("explain");
    expect(now?.inputs).toMatchObject({ intent: { hold: 1 }, breaker: "open" });
    // By the fleet that the decision saw: the rows may be others by now.
    const { spawning = 0, idle = 0, busy = 0 } = now?.inputs ?? {};
    expect(now?.rule).toBe(spawning + idle + busy > 0 ? "hold" : "breaker");
    await updateOk("resume");
    // A drain that the terminated run had planned counts as pending for half a minute before it is repeated.
    await expect.poll(held).toHaveLength(1);
  });

  it("shutdown leaves no pod, then closes the workflow as completed", async () => {
    const [reserve] = await livingWorkers(stack);
    expect(reserve).toBeDefined();
    expect(await updateOk("shutdown")).toMatchObject({ mode: "closing" });
    expect((await update("scale", { target: 2 })).stderr).toContain("shutting down");
    await expectNothingLeft(stack);
    const status = async () =>
      (
        JSON.parse(await temporalCliOk(stack, ["workflow", "describe", "-o", "json"])) as {
          workflowExecutionInfo: { status: string };
        }
      ).workflowExecutionInfo.status;
    await expect.poll(status).toBe("WORKFLOW_EXECUTION_STATUS_COMPLETED");
    expect(await countEvents(stack, "message.shutdown")).toBe(1);
  });
});
