import type { WorkflowHandle } from "@temporalio/client";
import { historyToJSON } from "@temporalio/common/lib/proto-utils.js";
import { describe, expect, it } from "vitest";
import { workerWorkflowId } from "../../../src/contract/names.ts";
import type { WorkerSignal } from "../../../src/contract/worker-api.ts";
import { GPU_POOL } from "../../../src/contract/search-attributes.ts";
import { bringUp, type Stage, until } from "../../kit/workflow/fake-service.ts";
import { withKit } from "../../kit/workflow/kit.ts";

interface ChildStart {
  readonly workflowId: string;
  readonly parentClosePolicy: string;
}

function spawn(kit: Stage, count: number) {
  return { kind: "spawn", count, max: 10, intentVersion: kit.intent.version, reason: "work is queued" };
}

function signal(worker: string, message: WorkerSignal) {
  return { kind: "signal", worker, signal: message };
}

async function children(pool: WorkflowHandle): Promise<ChildStart[]> {
  const { events } = JSON.parse(historyToJSON(await pool.fetchHistory())) as {
    events: { startChildWorkflowExecutionInitiatedEventAttributes?: ChildStart }[];
  };
  return events.flatMap(({ startChildWorkflowExecutionInitiatedEventAttributes: child }) => child ?? []);
}

describe.concurrent("what a pool does with its plan", () => {
  it(
    "reserves the workers first and starts one workflow for each, which outlives the pool's run",
    withKit(async (kit) => {
      const plan = kit.planOf([spawn(kit, 3)]);
      kit.plans.push(plan);
      const pool = await kit.startPool();
      await until(
        () => kit.rows.size,
        (rows) => expect(rows).toBe(3),
      );
      for (const id of kit.rows.keys()) {
        await kit.worker(id).reaches("booting");
      }
      expect(kit.called("reserveWorkers")).toEqual([[kit.pool, plan.decisionId, plan.actions[0]]]);
      const started = await children(pool);
      expect(new Set(started.map(({ workflowId }) => workflowId))).toEqual(
        new Set([...kit.rows.keys()].map((id) => `gpu-pool/${kit.pool}/worker/${id}`)),
      );
      expect(started).toHaveLength(3);
      expect(new Set(started.map(({ parentClosePolicy }) => parentClosePolicy))).toEqual(
        new Set(["PARENT_CLOSE_POLICY_ABANDON"]),
      );
    }),
  );

  it(
    "starts many workers by one activity, each with what was booked",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([spawn(kit, 21)]), kit.planOf([]));
      const pool = await kit.startPool();
      await until(kit.status, ({ watches }) => expect(watches).toBe(2));
      expect(await children(pool)).toEqual([]);
      const [[, ids] = [], ...more] = kit.called("startWorkers");
      expect(ids).toHaveLength(21);
      expect(more).toEqual([]);
      for (const id of ids as string[]) {
        await kit.worker(id).reaches("booting");
      }
      const { typedSearchAttributes, staticSummary } = await kit.worker((ids as string[])[0] ?? "").handle.describe();
      expect(typedSearchAttributes.get(GPU_POOL)).toBe(kit.pool);
      expect(await staticSummary()).toMatch(/^GPU worker .+ of pool /);
      // The row that was booked a moment before need not be read.
      expect(kit.called("loadWorker")).toEqual([]);
    }),
  );

  it(
    "leaves alone each of many workers whose workflow runs",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      const before = await worker.handle.describe();
      const many = [row.id, ...Array.from({ length: 24 }, () => kit.book().id)];
      kit.plans.push(kit.planOf([]));
      await kit.startPool();
      await until(kit.status, ({ watches }) => expect(watches).toBe(1));
      for (const id of many.slice(1)) {
        await kit.worker(id).reaches("booting");
      }
      expect(kit.called("startWorkers")).toEqual([[kit.pool, many]]);
      expect((await worker.handle.describe()).runId).toBe(before.runId);
      expect(await worker.phase()).toBe("active");
    }),
  );

  it(
    "starts nothing when the reservation books nothing",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([spawn(kit, 0)]), kit.planOf([]));
      const pool = await kit.startPool();
      await until(kit.status, ({ watches }) => expect(watches).toBe(2));
      expect(kit.called("reserveWorkers")).toHaveLength(1);
      expect(await children(pool)).toEqual([]);
    }),
  );

  it(
    "ignores actions of a kind that it does not know, and does the others",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([{ kind: "dance", partner: "nobody" }, spawn(kit, 1)]));
      await kit.startPool();
      await until(
        () => kit.rows.size,
        (rows) => expect(rows).toBe(1),
      );
      const [id = ""] = kit.rows.keys();
      await kit.worker(id).reaches("booting");
      await until(kit.status, ({ lastDecision }) => expect(lastDecision?.actions).toBe(1));
    }),
  );

  it(
    "signals many workers by one activity, and starts missing workflows again",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      const lost = Array.from({ length: 59 }, (_, n) => `${kit.pool}-lost${n}`);
      const order = { reason: "nothing queued", onlyIdle: true };
      const many = [row.id, ...lost].map((id) => signal(id, { name: "drain", order }));
      kit.plans.push(kit.planOf(many), kit.planOf([]));
      const pool = await kit.startPool();
      expect(await worker.result()).toMatchObject({ status: "terminated", reason: "nothing queued" });
      await until(kit.status, ({ watches }) => expect(watches).toBe(2));
      expect(kit.called("signalWorkers")).toEqual([[kit.pool, many]]);
      const [[, started] = [], ...more] = kit.called("startWorkers");
      expect((started as string[]).toSorted()).toEqual(lost.toSorted());
      expect(more).toEqual([]);
      for (const id of lost) {
        expect(await kit.worker(id).result()).toMatchObject({ status: "unknown" });
      }
      const { events } = await pool.fetchHistory();
      const sent = events?.filter((event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes);
      expect(sent).toEqual([]);
    }),
  );

  it(
    "passes verdicts on to the workers, each with its payload",
    withKit(async (kit) => {
      const [drained, failed, booting] = [await bringUp(kit), await bringUp(kit), kit.book()];
      const worker = await kit.startWorker(booting.id);
      await worker.reaches("booting");
      kit.beat(booting);
      const { heartbeatMs } = failed.row;
      const verdict = { evidence: "heartbeat", leaseCause: "worker_died", reason: "silent", heartbeatMs } as const;
      kit.plans.push(
        kit.planOf([
          signal(drained.row.id, { name: "drain", order: { reason: "nothing queued", onlyIdle: true } }),
          signal(failed.row.id, { name: "fail", verdict }),
          signal(booting.id, { name: "ready" }),
        ]),
      );
      await kit.startPool();
      expect(await drained.worker.result()).toMatchObject({ status: "terminated", reason: "nothing queued" });
      expect(await failed.worker.result()).toMatchObject({ status: "error", reason: "silent" });
      await worker.reaches("active");
    }),
  );

  it(
    "starts the lost workflow of a worker again when it signals the worker",
    withKit(async (kit) => {
      await kit.startPool();
      await until(
        () => kit.called("watchPool"),
        (watches) => expect(watches).toHaveLength(1),
      );
      const { row, worker } = await bringUp(kit);
      await worker.handle.terminate("lost");
      kit.plans.push(
        kit.planOf([signal(row.id, { name: "drain", order: { reason: "nothing queued", onlyIdle: true } })]),
      );
      await until(
        () => worker.handle.describe(),
        ({ status }) => expect(status.name).toBe("RUNNING"),
      );
      await worker.reaches("active");
      kit.plans.push(
        kit.planOf([signal(row.id, { name: "drain", order: { reason: "nothing queued", onlyIdle: true } })]),
      );
      expect(await worker.result()).toMatchObject({ status: "terminated" });
      expect(kit.called("createPod")).toHaveLength(1);
    }),
  );

  it(
    "tries a watch again that failed, and decides nothing meanwhile (invariant 3)",
    withKit(async (kit) => {
      kit.hooks.watchPool = () => {
        if (kit.called("watchPool").length <= 2) {
          throw new Error("the database does not answer");
        }
      };
      kit.plans.push(kit.planOf([spawn(kit, 1)]));
      await kit.startPool();
      await until(
        () => kit.rows.size,
        (rows) => expect(rows).toBe(1),
      );
      expect(kit.called("watchPool").length).toBeGreaterThanOrEqual(3);
      expect(kit.called("reserveWorkers")).toHaveLength(1);
    }),
  );

  it(
    "starts the workflows that living rows lack, and leaves alone those that run",
    withKit(async (kit) => {
      const running = await bringUp(kit);
      const orphan = kit.book({ status: "active", postState: "posted", podId: "pod-1", readyMs: Date.now() });
      const gone = kit.book({ status: "terminated", goneMs: Date.now() });
      const { runId } = await running.worker.handle.describe();
      const pool = await kit.startPool();
      await kit.worker(orphan.id).reaches("active");
      await until(kit.status, ({ phase }) => expect(phase).toBe("watching"));
      expect((await running.worker.handle.describe()).runId).toBe(runId);
      expect(await running.worker.phase()).toBe("active");
      expect((await children(pool)).map(({ workflowId }) => workflowId)).not.toContain(
        workerWorkflowId(kit.pool, gone.id),
      );
    }),
  );

  it(
    "leaves its workers alive when it is killed, and finds them when it is started again",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([spawn(kit, 1)]));
      const first = await kit.startPool();
      await until(
        () => kit.rows.size,
        (rows) => expect(rows).toBe(1),
      );
      const [id = ""] = kit.rows.keys();
      await kit.worker(id).reaches("booting");
      const { runId } = await kit.worker(id).handle.describe();
      await first.terminate("killed");
      await kit.startPool();
      await until(kit.status, ({ phase }) => expect(phase).toBe("watching"));
      const child = await kit.worker(id).handle.describe();
      expect(child).toMatchObject({ runId, status: { name: "RUNNING" } });
      expect(kit.called("createPod")).toHaveLength(1);
    }),
  );
});
