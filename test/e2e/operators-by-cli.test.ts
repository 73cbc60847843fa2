import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import {
  countEvents,
  countTasks,
  expectDoneOnce,
  expectNothingLeft,
  livingWorkers,
  notDoneOnce,
  LONG,
  temporalCli,
  temporalCliOk,
  workerStates,
} from "../kit/lifecycle.ts";

const claim = z.object({ worker_status: z.string(), task: z.object({ task_id: z.string() }).nullable() });

describe("orders by the temporal command", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { MAX_ACTIVE_GPUS: "2", TASKS_PER_GPU_THRESHOLD: "1" } });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const signal = async (name: string, ...input: string[]) =>
    await temporalCliOk(stack, ["workflow", "signal", "--name", name, ...input.flatMap((text) => ["--input", text])]);
  const updateScale = async (input: string) =>
    await temporalCli(stack, ["workflow", "update", "execute", "-o", "json", "--name", "scale", "--input", input]);
  const claimAs = async (worker: string) => (await stack.db.call("claim_task", { p_worker_id: worker }, claim)).task;

  it("drain lets running tasks finish, leaves queued ones queued and ends with no pod; resume does the rest", async () => {
    const ids = await stack.submit(4, LONG);
    await expect.poll(() => countTasks(stack, "In Progress")).toBe(2);
    await signal("drain");
    await expect.poll(async () => (await livingWorkers(stack)).map(({ status }) => status)).not.toContain("active");
    const running = await tasksIn("In Progress");
    const queued = await tasksIn("Queued");
    expect(queued.length).toBeGreaterThanOrEqual(1);
    for (const { id } of await workerStates(stack)) {
      const claimed = await claimAs(id);
      expect(queued).not.toContain(claimed?.task_id);
    }

    await expectNothingLeft(stack);
    expect(await notDoneOnce(stack, running)).toEqual([]);
    expect(await tasksIn("Queued")).toEqual(queued);
    for (const { id } of await workerStates(stack)) {
      expect(await claimAs(id)).toBeNull();
    }
    expect(await stack.rows("select 1 from task_attempts where cause <> 'completed'")).toEqual([]);

    await signal("resume");
    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack);
  });

  it("a signal without payload, with nonsense or of an unknown name is journaled and ignored, and the pool goes on", async () => {
    await signal("scale");
    await signal("scale", '"nonsense"');
    await signal("scale", '{"target": -1}');
    await signal("scale", '{"target": 1, "for": "soon"}');
    await signal("fly", '{"to": "the moon"}');
    await expect.poll(() => countEvents(stack, "message.ignored")).toBe(5);
    const reasons = await stack.rows<{ reason: string }>(
      "select reason from pool_events where kind = 'message.ignored' order by id",
    );
    expect(reasons.map(({ reason }) => reason)).toEqual([
      expect.stringContaining("got nothing"),
      expect.stringContaining('got "nonsense"'),
      expect.stringContaining("target: expected a whole number"),
      expect.stringContaining("for: expected whole seconds"),
      expect.stringContaining("fly: "),
    ]);
    await expectDoneOnce(stack, await stack.submit(1));
    await expectNothingLeft(stack);
  });

  it("a signal whose bytes cannot even be decoded is journaled and ignored, and the pool goes on", async () => {
    const ignored = await countEvents(stack, "message.ignored");
    const scale = ["workflow", "signal", "--name", "scale"];
    await temporalCliOk(stack, [...scale, "--input", '{"target": 1}', "--input-meta", "encoding=binary/encrypted"]);
    await temporalCliOk(stack, [...scale, "--input", '{"target": 1}', "--input-meta", "encoding=json/protobuf"]);
    const rescale = ["workflow", "signal", "--name", "rescale", "--input-base64", "--input", "AAE="];
    await temporalCliOk(stack, [...rescale, "--input-meta", "encoding=binary/x"]);
    await expect.poll(() => countEvents(stack, "message.ignored")).toBe(ignored + 3);
    const reasons = await stack.rows<{ reason: string }>(
      "select reason from pool_events where kind = 'message.ignored' order by id desc limit 3",
    );
    expect(reasons.map(({ reason }) => reason)).toEqual([
      expect.stringContaining("rescale: unknown signal"),
      expect.stringContaining("cannot be decoded"),
      expect.stringContaining("cannot be decoded"),
    ]);
    const resumed = await countEvents(stack, "message.resume");
    // A payload that cannot be read does not matter for an order that needs none.
    await temporalCliOk(stack, [
      "workflow",
      "signal",
      "--name",
      "resume",
      "--input",
      "?",
      "--input-meta",
      "encoding=x/y",
    ]);
    await expect.poll(() => countEvents(stack, "message.resume")).toBe(resumed + 1);
    await expectDoneOnce(stack, await stack.submit(1));
    await expectNothingLeft(stack);
  });

  it("scale holds the pool at a size until control is given back with null, or until the time is over", async () => {
    await signal("scale", '{"target": 1}');
    const rested = async () =>
      await stack.rows("select 1 from workers where status = 'active' and now() > ready_at + interval '4 seconds'");
    await expect.poll(rested).toHaveLength(1);
    const refused = await updateScale('{"target": 1.5}');
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain("target: expected a whole number");
    expect(await livingWorkers(stack)).toHaveLength(1);
    expect(await updateScale('{"target": null}')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("null"),
    });
    await expectNothingLeft(stack);

    const booked = (await workerStates(stack)).length;
    expect(await updateScale('{"target": 2, "for": 600}')).toMatchObject({ exitCode: 0 });
    await expect.poll(async () => (await livingWorkers(stack)).length).toBe(2);
    // Its end, ten minutes away, is moved to now.
    const end = "update pools set hold_until = now() where name = $1 and hold_until > now() + interval '9 minutes'";
    await stack.rows(end, [stack.pool]);
    await expectNothingLeft(stack);
    expect((await workerStates(stack)).length).toBe(booked + 2);
    const [row] = await stack.rows<{ expired: boolean }>(
      "select hold_until < now() as expired from pools where name = $1",
      [stack.pool],
    );
    expect(row?.expired).toBe(true);
  });

  it("pause keeps the fleet as it is in both directions; the update drain empties it", async () => {
    await signal("scale", '{"target": 1}');
    const active = async () => (await livingWorkers(stack)).map(({ status }) => status);
    await expect.poll(active).toEqual(["active"]);
    await signal("pause");
    for (const target of [0, 2]) {
      expect(await updateScale(`{"target": ${target}}`)).toMatchObject({ exitCode: 0 });
      const seen = { intent: { mode: "paused", hold: target }, rule: "paused", desired: 1 };
      await expect.poll(snapshot).toMatchObject(seen);
      expect(await active()).toEqual(["active"]);
    }
    expect(await countEvents(stack, "message.pause")).toBe(1);

    const booked = (await workerStates(stack)).length;
    const drained = await temporalCliOk(stack, ["workflow", "update", "execute", "-o", "json", "--name", "drain"]);
    expect((JSON.parse(drained) as { result: unknown }).result).toMatchObject({ mode: "draining", hold: 2 });
    await expectNothingLeft(stack);
    expect(await workerStates(stack)).toHaveLength(booked);
  });

  it("cancel leaves no pod, then closes the workflow as cancelled", async () => {
    await signal("resume");
    const active = async () => (await livingWorkers(stack)).filter(({ status }) => status === "active");
    await expect.poll(active).toHaveLength(2);
    await temporalCliOk(stack, ["workflow", "cancel"]);
    await expectNothingLeft(stack);
    const state = async () =>
      (
        JSON.parse(await temporalCliOk(stack, ["workflow", "describe", "-o", "json"])) as {
          workflowExecutionInfo: { status: string };
        }
      ).workflowExecutionInfo.status;
    await expect.poll(state).toBe("WORKFLOW_EXECUTION_STATUS_CANCELED");
    expect(await countEvents(stack, "message.shutdown")).toBe(1);
  });

  async function snapshot(): Promise<unknown> {
    const stdout = await temporalCliOk(stack, ["workflow", "query", "-o", "json", "--name", "status"]);
    return (JSON.parse(stdout) as { queryResult: [{ snapshot: unknown }] }).queryResult[0].snapshot;
  }

  async function tasksIn(status: string): Promise<string[]> {
    const rows = await stack.rows<{ id: string }>("select id from tasks where status = $1 order by id", [status]);
    return rows.map(({ id }) => id);
  }
});
