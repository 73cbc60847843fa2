import { describe, expect, it } from "vitest";
import type { GpuPoolInput } from "../../../src/contract/inputs.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { type Stage, until } from "../../kit/workflow/fake-service.ts";
import { gate, withKit } from "../../kit/workflow/kit.ts";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";

/** The ids of all runs that this one went on as, itself first. */
async function runs(kit: Stage, firstRunId: string): Promise<string[]> {
  const ids: string[] = [];
  for (let next: string | null | undefined = firstRunId; next;) {
    ids.push(next);
    const { events } = await kit.temporal.workflow.getHandle(poolWorkflowId(kit.pool), next).fetchHistory();
    next = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return ids;
}

async function carriedBy(kit: Stage, runId: string): Promise<NonNullable<GpuPoolInput["carried"]>> {
  const { events } = await kit.temporal.workflow.getHandle(poolWorkflowId(kit.pool), runId).fetchHistory();
  const [input] = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.input?.payloads ?? [];
  const { carried } = JSON.parse(new TextDecoder().decode(input?.data ?? undefined)) as GpuPoolInput;
  return carried!;
}

describe.concurrent("a pool that continues as new", () => {
  it(
    "loses no message, keeps their order, answers every update, and its workers live on",
    withKit(async (kit) => {
      kit.watchMs = 20;
      kit.plans.push(kit.planOf([{ kind: "spawn", count: 2, max: 4, intentVersion: 1, reason: "work is queued" }]));
      const pool = await kit.startPool({ maxHistoryLength: 120 });
      const first = pool.firstExecutionRunId;
      await until(
        () => kit.rows.size,
        (rows) => expect(rows).toBe(2),
      );
      const ids = [...kit.rows.keys()];
      for (const id of ids) {
        await kit.worker(id).reaches("booting");
        const row = kit.rows.get(id);
        if (row !== undefined) {
          kit.beat(row);
        }
        await kit.worker(id).signal(workerSignals.ready);
      }
      const childRuns = await Promise.all(ids.map(async (id) => (await kit.worker(id).handle.describe()).runId));

      const current = kit.temporal.workflow.getHandle(poolWorkflowId(kit.pool));
      // An answered update leaves a moment without messages, in which the run ends; the next ones come into its end.
      const answered: number[] = [];
      for (let target = 0; target < 120; target++) {
        if (target % 6 === 5) {
          const { hold } = await current.executeUpdate(poolUpdates.scale, { args: [{ target }] });
          answered.push(hold ?? -1);
        } else {
          await current.signal(poolSignals.scale, { target });
        }
      }
      expect(answered).toEqual(Array.from({ length: 20 }, (_, index) => 6 * index + 5));
      expect(kit.messages).toEqual(
        Array.from({ length: 120 }, (_, target) => ({ kind: "scale", target, forSec: null })),
      );
      await until(kit.status, ({ messages }) => expect(messages).toBe(120));

      expect((await runs(kit, first)).length).toBeGreaterThanOrEqual(5);
      expect(kit.called("openPool")).toHaveLength(1);
      // The first run learned its deployment by that call; the later runs and its workers inherit it.
      const workflows = [current, ...ids.map((id) => kit.worker(id).handle)];
      const memos = await Promise.all(workflows.map(async (workflow) => (await workflow.describe()).memo));
      expect(memos).toEqual(workflows.map(() => ({ deployment: "ours" })));
      // The next run explains the latest observation, not the last one with something to do.
      const { decisions, latest } = await carriedBy(kit, first);
      expect(decisions?.[0]?.actions).toMatchObject([{ kind: "spawn", count: 2 }]);
      expect(latest).toMatchObject({ actions: [] });
      expect((await kit.status()).watches).toBeGreaterThan(5);
      for (const [index, id] of ids.entries()) {
        const child = await kit.worker(id).handle.describe();
        expect(child).toMatchObject({ runId: childRuns[index], status: { name: "RUNNING" } });
        expect(await kit.worker(id).phase()).toBe("active");
      }
      expect(kit.called("createPod")).toHaveLength(2);
    }),
  );

  it(
    "waits until also an ignored message is journaled, however often that fails",
    withKit(async (kit) => {
      const database = gate();
      kit.hooks.journalIgnored = async () => {
        await database.passed;
        if (kit.called("journalIgnored").length === 1) {
          throw new Error("the database does not answer");
        }
      };
      const pool = await kit.startPool({ maxHistoryLength: 1 });
      await pool.signal("dance");
      await until(
        () => kit.called("journalIgnored"),
        (calls) => expect(calls).toHaveLength(1),
      );
      kit.plans.push(kit.planOf([]));
      await until(kit.status, ({ watches }) => expect(watches).toBe(1));
      database.open();
      await until(
        () => kit.ignored,
        (ignored) => expect(ignored).toEqual([expect.objectContaining({ kind: "dance" })]),
      );
      await until(
        () => runs(kit, pool.firstExecutionRunId),
        (ids) => expect(ids).toHaveLength(2),
      );
      expect(await kit.status()).toMatchObject({ messages: 1 });
    }),
  );

  it(
    "writes down first what waits, and shuts down if it is cancelled meanwhile",
    withKit(async (kit) => {
      const database = gate();
      kit.hooks.recordMessage = (_pool, message) => (message.kind === "pause" ? database.passed : undefined);
      const pool = await kit.startPool({ maxHistoryLength: 1 });
      await pool.signal(poolSignals.pause);
      await until(
        () => kit.called("recordMessage"),
        (calls) => expect(calls).toHaveLength(1),
      );
      // The watch ends, and the pool stands before its next run.
      kit.plans.push(kit.planOf([]));
      await until(kit.status, ({ watches }) => expect(watches).toBe(1));
      await pool.cancel();
      await until(
        () => pool.fetchHistory(),
        ({ events }) =>
          expect(events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes)).toBe(true),
      );
      database.open();
      await expect(pool.result()).rejects.toMatchObject({ cause: { name: "CancelledFailure" } });
      expect(kit.messages).toEqual([{ kind: "pause" }, { kind: "shutdown" }]);
      expect(await runs(kit, pool.firstExecutionRunId)).toHaveLength(1);
    }),
  );
});
