import { randomBytes } from "node:crypto";
import { ApplicationFailure } from "@temporalio/common";
import { Client, Connection, ScheduleOverlapPolicy } from "@temporalio/client";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import {
  type DeliveryCounts,
  JANITOR_WORKFLOW,
  type JanitorInput,
  type JanitorResult,
  janitorScheduleId,
  NOTIFICATIONS_WORKFLOW,
  notificationsWorkflowId,
} from "../../../src/contract/upkeep.ts";
import { fakeUpkeep } from "../../kit/workflow/fake-upkeep.ts";
import { ensureUpkeep } from "../../../src/worker/janitor-schedule.ts";

const taskQueue = `upkeep-${randomBytes(4).toString("hex")}`;
const workflowId = notificationsWorkflowId(taskQueue);

describe("the workflows beside the pools", () => {
  let temporal: Client;
  const undo: (() => Promise<unknown>)[] = [];
  const cleaned = { logs: 0, outbox: 0 };
  const compared: boolean[] = [];
  let comparisonFails = false;
  let logsFail = false;
  let deliveries: DeliveryCounts[] = [];
  const warnings: string[] = [];
  const logger = pino({}, { write: (text) => warnings.push(text) });

  beforeAll(async () => {
    const { temporalAddress: address, workflowBundle: codePath } = inject("shared");
    Runtime.install({ logger: new DefaultLogger("ERROR", () => undefined) });
    const native = await NativeConnection.connect({ address });
    const connection = await Connection.connect({ address });
    temporal = new Client({ connection });
    const worker = await Worker.create({
      connection: native,
      taskQueue,
      workflowBundle: { codePath },
      activities: {
        ...fakeUpkeep,
        async deliverNotifications() {
          const next = deliveries.shift();
          return next ?? (await new Promise<DeliveryCounts>(() => undefined));
        },
        async reconcileWorkers({ dryRun }: { dryRun: boolean }) {
          compared.push(dryRun);
          if (comparisonFails) {
            throw ApplicationFailure.nonRetryable("the database is away");
          }
          return { findings: [], leftOut: 0, unknown: ["the provider's pods: 502"], done: ["w: started"], failed: [] };
        },
        async cleanUpLogs() {
          if (logsFail) {
            throw new Error("the database is away");
          }
          cleaned.logs += 1;
          return { deleted: 3 };
        },
        async cleanUpOutbox() {
          cleaned.outbox += 1;
          return { deleted: 4 };
        },
      },
      shutdownForceTime: "1s",
    });
    const running = worker.run().catch(() => undefined);
    undo.push(
      () => connection.close(),
      () => native.close(),
      async () => {
        worker.shutdown();
        await running;
      },
      () => temporal.schedule.getHandle(janitorScheduleId(taskQueue)).delete(),
      () => temporal.workflow.getHandle(workflowId).terminate("the test is over"),
    );
  });
  afterAll(async () => {
    for (const end of undo.toReversed()) {
      await end().catch(() => undefined);
    }
  });

  const runJanitor = async (dryRun = false): Promise<JanitorResult> =>
    await temporal.workflow.execute<(input: JanitorInput) => Promise<JanitorResult>>(JANITOR_WORKFLOW, {
      workflowId: `${taskQueue}/round`,
      taskQueue,
      args: [{ taskQueue, dryRun }],
    });

  it("are set up by any number of starts: one schedule, one sender", async () => {
    await ensureUpkeep(temporal, taskQueue, logger);
    const { runId } = await temporal.workflow.getHandle(workflowId).describe();
    await temporal.schedule.getHandle(janitorScheduleId(taskQueue)).pause("by an operator");
    await ensureUpkeep(temporal, taskQueue, logger);
    expect(await temporal.workflow.getHandle(workflowId).describe()).toMatchObject({
      runId,
      type: NOTIFICATIONS_WORKFLOW,
    });
    const schedule = await temporal.schedule.getHandle(janitorScheduleId(taskQueue)).describe();
    expect(schedule).toMatchObject({
      spec: { intervals: [{ every: 300_000 }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP },
      action: { workflowType: JANITOR_WORKFLOW, taskQueue },
      state: { paused: true },
    });
    expect(warnings).toEqual([]);
  });

  it("run as one round of repairs when the schedule fires", async () => {
    const before = { ...cleaned };
    await temporal.schedule.getHandle(janitorScheduleId(taskQueue)).trigger();
    await expect.poll(() => cleaned.outbox).toBe(before.outbox + 1);
    expect(cleaned.logs).toBe(before.logs + 1);
  });

  it("start the sender again when it was ended, and leave a running one alone", async () => {
    expect((await runJanitor()).repairs).toMatchObject({ notifications: "running" });
    await temporal.workflow.getHandle(workflowId).terminate("by mistake");
    expect((await runJanitor()).repairs).toMatchObject({ notifications: "started again" });
    expect((await temporal.workflow.getHandle(workflowId).describe()).status.name).toBe("RUNNING");
  });

  it("go on with the other repairs when one fails, and say which", async () => {
    logsFail = true;
    comparisonFails = true;
    const { repairs, workers } = await runJanitor();
    logsFail = false;
    comparisonFails = false;
    expect(repairs).toMatchObject({ outbox: "4 old notifications deleted", workers: "failed: the database is away" });
    expect(repairs["logs"]).toBe("failed: the database is away");
    expect(workers).toBeNull();
  });

  it("report what was compared, and change nothing in a dry run", async () => {
    const { repairs, workers, pools } = await runJanitor();
    expect(repairs).toMatchObject({
      workers: "0 looked at; w: started; not known: the provider's pods: 502",
      pools: "0 looked at",
      tasks: "nothing to repair",
      tables: "5 pool events",
    });
    expect({ workers, pools }).toMatchObject({ workers: { done: ["w: started"] }, pools: [] });
    const before = { ...cleaned };
    compared.length = 0;
    expect(Object.keys((await runJanitor(true)).repairs)).toEqual(["workers", "pools", "tasks"]);
    expect({ compared, cleaned }).toEqual({ compared: [true], cleaned: before });
  });

  it("add up deliveries across continue-as-new", async () => {
    await temporal.workflow.getHandle(workflowId).terminate("the next one counts");
    const once = { delivered: 2, failed: 1, dead: 0 };
    deliveries = [once, once, once];
    const first = await temporal.workflow.start(NOTIFICATIONS_WORKFLOW, {
      workflowId,
      taskQueue,
      args: [{ maxHistoryLength: 3 }],
    });
    await expect
      .poll(async () => (await temporal.workflow.getHandle(workflowId).describe()).runId)
      .not.toBe(first.firstExecutionRunId);
    const carried = async () => {
      const { events } = await temporal.workflow.getHandle(workflowId).fetchHistory();
      const [data] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
      return (JSON.parse(Buffer.from(data!.data!).toString("utf8")) as { carried?: DeliveryCounts }).carried;
    };
    await expect.poll(carried).toEqual({ delivered: 6, failed: 3, dead: 0 });
  });
});
