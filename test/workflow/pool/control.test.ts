import { randomUUID } from "node:crypto";
import type { WorkflowHandle } from "@temporalio/client";
import { describe, expect, it } from "vitest";
import type { CycleSummary } from "../../../src/contract/cycle-summary.ts";
import { FAILURES } from "../../../src/contract/failures.ts";
import { poolQueries, poolUpdates } from "../../../src/contract/pool-api.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";
import { bringUp, type Stage, until } from "../../kit/workflow/fake-service.ts";
import { withKit } from "../../kit/workflow/kit.ts";

function spawn(kit: Stage, count: number) {
  return {
    kind: "spawn",
    count,
    max: 10,
    intentVersion: kit.intent.version,
    caps: { maxHourlySpendUsd: null, dailyBudgetUsd: null },
    reason: "work is queued",
  };
}

/** @param payload of any shape, also of one that the update does not have; undefined: none is sent. */
async function refusal(pool: WorkflowHandle, { name }: { readonly name: string }, payload?: unknown): Promise<string> {
  const args = payload === undefined ? [] : [payload];
  const error = await pool.executeUpdate<unknown, [unknown]>(name, { args: args as [unknown] }).then(
    () => new Error("it was taken"),
    (reason: Error) => reason,
  );
  return error.cause instanceof Error ? error.cause.message : error.message;
}

async function acceptedUpdates(pool: WorkflowHandle): Promise<number> {
  const { events = [] } = await pool.fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes).length;
}

describe.concurrent("new settings for a pool", () => {
  it(
    "override its own, are answered as what now holds, and are shown by the query config",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      const answer = await pool.executeUpdate(poolUpdates.reconfigure, {
        args: [{ maxActiveGpus: 4, machinesToKeepIdle: null }],
      });
      expect(kit.patches).toEqual([{ maxActiveGpus: 4, machinesToKeepIdle: null }]);
      expect(answer).toMatchObject({ pool: kit.pool, settings: { values: { maxActiveGpus: 4 } } });
      expect(await pool.query(poolQueries.config)).toEqual(answer);
    }),
  );

  it(
    "are refused without a trace in the history when a name is unknown: it may be a secret",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      for (const [payload, says] of [
        [{ runpodApiKey: "rpa_secret" }, "runpodApiKey: no setting"],
        [{}, "expected an object of settings"],
        [[1], "expected an object of settings"],
        [undefined, "got nothing"],
        [{ schedules: "x".repeat(30_000) }, "longer than"],
      ] as const) {
        expect(await refusal(pool, poolUpdates.reconfigure, payload)).toContain(says);
      }
      expect(await acceptedUpdates(pool)).toBe(0);
      expect(kit.patches).toEqual([]);
    }),
  );

  it(
    "are refused in the activity's words when it finds them wrong, and later messages are still written down",
    withKit(async (kit) => {
      const { ApplicationFailure } = await import("@temporalio/common");
      kit.hooks.reconfigure = () => {
        throw ApplicationFailure.nonRetryable("maxActiveGpus=-1: expected a whole number", FAILURES.invalidConfig);
      };
      const pool = await kit.startPool();
      expect(await refusal(pool, poolUpdates.reconfigure, { maxActiveGpus: -1 })).toContain("maxActiveGpus=-1");
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
    }),
  );
});

describe.concurrent("an order about one worker", () => {
  it(
    "drains it: its task ends first",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      const pool = await kit.startPool();
      const answer = await pool.executeUpdate(poolUpdates.drainWorker, {
        args: [{ worker: row.id, reason: "old image" }],
      });
      expect(answer).toEqual({ outcome: "ordered", status: "active" });
      await worker.reaches("draining");
      row.busy = false;
      await worker.signal(workerSignals.released);
      expect(await worker.result()).toMatchObject({ status: "terminated", reason: "old image" });
      expect(kit.orders).toEqual([{ kind: "drain", worker: row.id, reason: "old image" }]);
      expect(kit.called("expelWorker")).toEqual([]);
    }),
  );

  it(
    "terminates it at once: its task goes back to the queue",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      const pool = await kit.startPool();
      await pool.executeUpdate(poolUpdates.terminateWorker, { args: [{ worker: row.id }] });
      expect(await worker.result()).toMatchObject({ status: "terminated", reason: "asked for by an operator" });
      expect(kit.called("expelWorker")).toEqual([[row.id, "asked for by an operator"]]);
    }),
  );

  it(
    "reaches a worker whose workflow is missing: it is started again first",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      await until(kit.status, ({ phase }) => expect(phase).toBe("watching"));
      const row = kit.book({ status: "active", postState: "posted", podId: "pod-lost", readyMs: Date.now() });
      kit.pods.set("pod-lost", row.id);
      expect(await pool.executeUpdate(poolUpdates.drainWorker, { args: [{ worker: row.id }] })).toMatchObject({
        outcome: "ordered",
      });
      expect(await kit.worker(row.id).result()).toMatchObject({ status: "terminated" });
    }),
  );

  it(
    "is answered with unknown or not living where it has no worker, and names a wrong field",
    withKit(async (kit) => {
      const gone = kit.book({ status: "terminated", goneMs: Date.now() });
      const pool = await kit.startPool();
      expect(await pool.executeUpdate(poolUpdates.drainWorker, { args: [{ worker: "nobody" }] })).toEqual({
        outcome: "unknown",
        status: null,
      });
      expect(await pool.executeUpdate(poolUpdates.terminateWorker, { args: [{ worker: gone.id }] })).toMatchObject({
        outcome: "not_living",
      });
      const accepted = await acceptedUpdates(pool);
      expect(await refusal(pool, poolUpdates.drainWorker, { id: "x" })).toContain("worker: expected");
      expect(await refusal(pool, poolUpdates.terminateWorker, { worker: "x", reason: 3 })).toContain(
        "reason: expected",
      );
      expect(await refusal(pool, poolUpdates.drainWorker)).toContain("got nothing");
      for (const order of [poolUpdates.drainWorker, poolUpdates.terminateWorker]) {
        expect(await refusal(pool, order, { worker: "x", why: "old image" })).toContain(
          'unknown field "why"; known are worker, reason',
        );
      }
      expect(await acceptedUpdates(pool)).toBe(accepted);
    }),
  );
});

describe.concurrent("a pool that is shut down by an update", () => {
  it(
    "drains, sees every worker gone, and closes as completed; it takes no order meanwhile",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      const pool = await kit.startPool();
      expect(await pool.executeUpdate(poolUpdates.shutdown)).toMatchObject({ mode: "closing" });
      expect(await refusal(pool, poolUpdates.scale, { target: 3 })).toContain("shutting down");
      expect(await pool.executeUpdate(poolUpdates.shutdown)).toMatchObject({ mode: "closing" });
      expect((await pool.describe()).status.name).toBe("RUNNING");
      const order = { reason: "closing: to zero gracefully", onlyIdle: false };
      kit.plans.push(kit.planOf([{ kind: "signal", worker: row.id, signal: { name: "drain", order } }]));
      expect(await pool.result()).toBeUndefined();
      expect((await pool.describe()).status.name).toBe("COMPLETED");
      expect(await worker.result()).toMatchObject({ status: "terminated" });
    }),
  );
});

describe.concurrent("a pool that is asked why", () => {
  it(
    "answers its last decisions, newest first, with inputs, rule and actions, also after it continued as new",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([spawn(kit, 2)]));
      const pool = await kit.startPool({ maxHistoryLength: 20 });
      await until(
        () => kit.rows.size,
        (rows) => expect(rows).toBe(2),
      );
      const ids = [...kit.rows.keys()];
      const verdict = { evidence: "heartbeat", leaseCause: "worker_died", reason: "silent", heartbeatMs: null };
      kit.plans.push(
        kit.planOf(ids.map((worker) => ({ kind: "signal", worker, signal: { name: "fail", verdict } }))),
        kit.planOf([]),
      );
      const current = kit.temporal.workflow.getHandle(pool.workflowId);
      await until(
        () => current.query(poolQueries.explain),
        ({ decisions }) => expect(decisions).toHaveLength(2),
      );
      const { decisions, now } = await current.query(poolQueries.explain);
      expect(decisions.map(({ actions }) => actions)).toEqual([
        [{ kind: "fail", count: 2, workers: ids, reason: "silent" }],
        [{ kind: "spawn", count: 2, workers: [], reason: "work is queued" }],
      ]);
      expect(decisions[1]).toMatchObject({ rule: "threshold", reason: "the test says so", inputs: { queued: 0 } });
      expect(now).toMatchObject({ reason: "the test says so" });
      await until(
        async () => (await current.describe()).runId,
        (runId) => expect(runId).not.toBe(pool.firstExecutionRunId),
      );
      expect((await current.query(poolQueries.explain)).decisions).toHaveLength(2);
    }),
  );
});

describe.concurrent("a pool that runs for one round", () => {
  it(
    "observes once, performs, and ends with a summary; its workers live on",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([spawn(kit, 1)]));
      const pool = await kit.startPool({ rounds: 1 });
      const summary = (await pool.result()) as CycleSummary;
      const [id = ""] = kit.rows.keys();
      expect(summary).toMatchObject({
        pool: kit.pool,
        rule: "threshold",
        booked: [id],
        actions: [{ kind: "spawn", count: 1 }],
      });
      expect(kit.called("watchPool")).toEqual([[kit.pool, { shown: false, settings: null, cycle: 1, once: true }]]);
      await kit.worker(id).reaches("booting");
    }),
  );

  it(
    "fails with the reason when the pool could not be observed",
    withKit(async (kit) => {
      kit.plans.push({ decisionId: "none", actions: [], snapshot: null });
      const pool = await kit.startPool({ rounds: 1 });
      await expect(pool.result()).rejects.toMatchObject({
        cause: { message: expect.stringContaining("could not be observed") },
      });
    }),
  );
});

describe.concurrent("a plan that holds nothing that this code knows", () => {
  it(
    "makes the pool wait before it looks again: an older worker does not spin beside a newer policy",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([{ kind: "dance" }]));
      const pool = await kit.startPool();
      await until(
        async () => (await pool.fetchHistory()).events ?? [],
        (events) => {
          const timers = events.flatMap((event) => event.timerStartedEventAttributes ?? []);
          expect(timers.map(({ startToFireTimeout }) => Number(startToFireTimeout?.seconds))).toEqual([30]);
        },
      );
      expect(kit.called("watchPool")).toHaveLength(1);
    }),
  );
});

describe.concurrent("a workflow that is started by hand without what it needs", () => {
  it.for<[string, unknown, string]>([
    ["gpuPool", undefined, "expected an object with pool, got nothing"],
    ["gpuPool", null, "expected an object with pool, got null"],
    ["gpuPool", "main", 'expected an object with pool, got "main"'],
    ["gpuPool", { pool: 5 }, 'expected an object with pool, got {"pool":5}'],
    ["gpuPool", { pool: "odd", rounds: "abc" }, 'rounds: expected a whole number from 1 on, got "abc"'],
    ["gpuWorker", { pool: "odd" }, 'expected an object with pool and id, got {"pool":"odd"}'],
    ["janitor", undefined, "expected an object with taskQueue, got nothing"],
    ["notifications", null, "expected an object, got null"],
  ])("ends with the reason: %s with %j", async ([type, input, message]) => {
    await withKit(async ({ temporal, taskQueue }) => {
      const args = input === undefined ? [] : [input];
      await expect(
        temporal.workflow.execute(type, { workflowId: `${type}-${randomUUID()}`, taskQueue, args }),
      ).rejects.toMatchObject({ cause: { type: FAILURES.invalidInput, message: `input: ${message}` } });
    })();
  });
});
