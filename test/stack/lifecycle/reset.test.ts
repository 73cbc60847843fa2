import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId, workerWorkflowId } from "../../../src/contract/names.ts";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";
import { countEvents, expectNothingLeft, livingWorkers } from "../../kit/lifecycle.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { runTemporal } from "../../kit/temporal/temporal-cli.ts";

type Point = "first" | "middle" | "last";
const WITHOUT_SIGNALS = ["--reapply-exclude", "Signal"];
const WITHOUT_ANY = ["--reapply-exclude", "All"];

describe("a workflow that an operator resets", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ launch: createLightPodLauncher(), env: { MAX_ACTIVE_GPUS: "2" } });
    await stack.serve();
    await stack.startPool({ config: { maxActiveGpus: 1 } });
  });
  afterAll(async () => await stack?.close());

  const pool = () => stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  const row = async () => {
    const [found] = await stack.rows<{ mode: string; hold: number | null; config: object }>(
      "select mode, hold, config from pools",
    );
    return found;
  };

  /** Resets to a workflow task of the run. */
  async function reset(workflowId: string, point: Point, ...options: readonly string[]): Promise<void> {
    const handle = stack.temporal.workflow.getHandle(workflowId);
    const { runId } = await handle.describe();
    const { events } = await stack.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const tasks = events!.filter((event) => event.workflowTaskCompletedEventAttributes);
    const at = { first: 0, middle: Math.floor(tasks.length / 2), last: tasks.length - 1 }[point];
    const event = ["--event-id", String(tasks[at]?.eventId)];
    const args = ["workflow", "reset", "-w", workflowId, "-r", runId, ...event, "--reason", "a test", ...options];
    const { exitCode, stderr } = await runTemporal(args);
    expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
  }

  it("rents what was asked for, once", async () => {
    await pool().executeUpdate(poolUpdates.reconfigure, { args: [{ maxActiveGpus: 2 }] });
    await pool().signal(poolSignals.scale, { target: 2 });
    await expect
      .poll(async () => (await livingWorkers(stack)).map(({ status }) => status))
      .toEqual(["active", "active"]);
    await pool().signal(poolSignals.drain);
    await expectNothingLeft(stack);
    await pool().signal(poolSignals.scale, { target: null });
    await pool().executeUpdate(poolUpdates.resume);
    expect(stack.simulator.ledger().pods).toHaveLength(2);
  });

  it.for([
    ["first", []],
    ["middle", []],
    ["last", []],
    ["first", WITHOUT_SIGNALS],
    ["middle", WITHOUT_ANY],
    ["last", WITHOUT_SIGNALS],
    ["first", WITHOUT_ANY],
  ] as const)(
    "invariant 18: carries out no order again when it is reset to the %s task, %s",
    async ([point, options]) => {
      const before = await countEvents(stack, "message.scale");
      const others = await stack.rows(
        "select kind from pool_events where kind like 'message.%' and kind <> 'message.scale' order by id",
      );
      await reset(poolWorkflowId(stack.pool), point, ...options);
      await pool().signal(poolSignals.scale, { target: 0 });
      await expect.poll(row).toMatchObject({ mode: "normal", hold: 0, config: { maxActiveGpus: 2 } });
      await pool().signal(poolSignals.scale, { target: null });
      await expect.poll(row).toMatchObject({ mode: "normal", hold: null });
      expect(await countEvents(stack, "message.scale")).toBe(before + 2);
      const now = await stack.rows(
        "select kind from pool_events where kind like 'message.%' and kind <> 'message.scale' order by id",
      );
      const fresh = now.slice(others.length).map((event) => (event as { kind: string }).kind);
      expect(new Set(fresh)).toEqual(new Set(fresh.length === 0 ? [] : ["message.repeated"]));
      expect(stack.simulator.ledger().pods).toHaveLength(2);
    },
  );

  it("is journaled with what was not carried out again", async () => {
    const events = await stack.rows<{ reason: string }>(
      "select reason from pool_events where kind = 'pool.reset' order by id",
    );
    expect(events).toHaveLength(7);
    expect(events[0]?.reason).toMatch(/a test.*of 3 earlier signals, 3 had taken effect/);
  });

  it("invariant 18: carries out an order that had not taken effect, once", async () => {
    await pool().signal(poolSignals.pause);
    await expect.poll(row).toMatchObject({ mode: "paused" });
    // As if the run had ended before it could write the last signal.
    await stack.rows("update pools set mode = 'normal', signals_written = signals_written - 1");
    await reset(poolWorkflowId(stack.pool), "first");
    await expect.poll(row).toMatchObject({ mode: "paused" });
    await pool().signal(poolSignals.resume);
    await expect.poll(row).toMatchObject({ mode: "normal" });
  });

  it("invariant 18: does not shut down again, and is obeyed from then on", async () => {
    await pool().executeUpdate(poolUpdates.shutdown);
    await pool().result();
    await reset(poolWorkflowId(stack.pool), "first");
    const repeated = "select from pool_events where kind = 'message.repeated' and reason like 'shutdown: %'";
    await expect.poll(async () => (await stack.rows(repeated)).length).toBe(1);
    expect(await pool().executeUpdate(poolUpdates.resume)).toMatchObject({ mode: "normal" });
    await pool().signal(poolSignals.scale, { target: 1 });
    await expect.poll(async () => (await livingWorkers(stack)).map(({ status }) => status)).toEqual(["active"]);
    expect((await pool().describe()).status.name).toBe("RUNNING");
  });

  it.for(["first", "middle", "last"] as const)(
    "invariant 1: a worker's workflow that is reset to the %s task keeps its one pod",
    async (point) => {
      const [worker] = await livingWorkers(stack);
      const pods = stack.simulator.ledger().pods.length;
      const id = workerWorkflowId(stack.pool, worker?.id ?? "");
      await reset(id, point);
      const handle = stack.temporal.workflow.getHandle(id);
      await expect.poll(() => handle.query("phase")).toBe("active");
      expect(stack.simulator.ledger().pods).toHaveLength(pods);
      expect(await livingWorkers(stack)).toMatchObject([{ id: worker?.id, pod_id: worker?.pod_id }]);
    },
  );

  it("buries for certain, also where a worker's workflow is reset after its burial", async () => {
    const [worker] = await livingWorkers(stack);
    await pool().executeUpdate(poolUpdates.drain);
    await expectNothingLeft(stack);
    const id = workerWorkflowId(stack.pool, worker?.id ?? "");
    await stack.temporal.workflow.getHandle(id).result();
    for (const point of ["last", "first"] as const) {
      await reset(id, point);
      await stack.temporal.workflow.getHandle(id).result();
    }
    await expectNothingLeft(stack);
    expect(stack.simulator.ledger().pods.filter(({ name }) => name === worker?.id)).toHaveLength(1);
  });
});
