import { randomBytes } from "node:crypto";
import { ApplicationFailure } from "@temporalio/common";
import { Client, Connection, ScheduleOverlapPolicy } from "@temporalio/client";
import { NativeConnection, Worker } from "@temporalio/worker";
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
import { installQuietRuntime } from "../../kit/temporal/quiet-runtime.ts";
import { fakeUpkeep } from "../../kit/workflow/fake-upkeep.ts";
import { deploymentOf } from "../../../src/contract/deployment.ts";
import { ensureNotifications } from "../../../src/worker/janitor-schedule.ts";
import { claimTaskQueue, DeploymentConflict } from "../../../src/worker/own-deployment.ts";

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
    installQuietRuntime();
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

  const setUp = async () => {
    await claimTaskQueue(temporal, taskQueue, "ours");
    await ensureNotifications(temporal, taskQueue, "ours", logger);
  };
  const memoOf = async (id: string) => deploymentOf((await temporal.workflow.getHandle(id).describe()).memo);
  const runJanitor = async (dryRun = false): Promise<JanitorResult> =>
    await temporal.workflow.execute<(input: JanitorInput) => Promise<JanitorResult>>(JANITOR_WORKFLOW, {
      workflowId: `${taskQueue}/round`,
      taskQueue,
      args: [{ taskQueue, dryRun }],
      memo: { deployment: "ours" },
    });

  it("are set up by any number of starts: one schedule, one sender", async () => {
    await setUp();
    const { runId } = await temporal.workflow.getHandle(workflowId).describe();
    await temporal.schedule.getHandle(janitorScheduleId(taskQueue)).pause("by an operator");
    await setUp();
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
    // Workflows that a workflow starts belong to its deployment.
    expect(await memoOf(workflowId)).toBe("ours");
  });

  it("are refused to another deployment, which changes nothing", async () => {
    const schedule = temporal.schedule.getHandle(janitorScheduleId(taskQueue));
    const { info: before } = await schedule.describe();
    await expect(claimTaskQueue(temporal, taskQueue, "theirs")).rejects.toThrow(DeploymentConflict);
    const { action, info } = await schedule.describe();
    expect([deploymentOf(action.memo), info.lastUpdatedAt]).toEqual(["ours", before.lastUpdatedAt]);
    // Without the schedule, the workflow that runs for ever still says who has the task queue.
    await schedule.delete();
    await expect(claimTaskQueue(temporal, taskQueue, "theirs")).rejects.toThrow(
      new RegExp(`task queue ${taskQueue} belongs to deployment ours.*gpu-pool db deployment --set ours`, "s"),
    );
    await expect(schedule.describe()).rejects.toThrow(/not found/i);
    await setUp();
  });

  it("are given to one of two deployments that begin at once", async () => {
    const contested = `${taskQueue}-contested`;
    const claims = await Promise.allSettled(["one", "two"].map((id) => claimTaskQueue(temporal, contested, id)));
    const schedule = temporal.schedule.getHandle(janitorScheduleId(contested));
    const holder = deploymentOf((await schedule.describe()).action.memo);
    await schedule.delete();
    expect(claims.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(holder).toBe(claims[0]?.status === "fulfilled" ? "one" : "two");
  });

  it("are taken over from a version that knew no deployments", async () => {
    const schedule = temporal.schedule.getHandle(janitorScheduleId(taskQueue));
    await schedule.update(({ spec, policies, state, action }) => ({
      spec,
      policies,
      state,
      action: { ...action, memo: {} } as never,
    }));
    expect(deploymentOf((await schedule.describe()).action.memo)).toBeNull();
    await setUp();
    expect(deploymentOf((await schedule.describe()).action.memo)).toBe("ours");
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
      memo: { deployment: "ours" },
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
    expect(await memoOf(workflowId)).toBe("ours");
  });
});
