import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FAILURES } from "../../src/contract/failures.ts";
import { poolWorkflowId } from "../../src/contract/names.ts";
import { poolSignals, poolUpdates } from "../../src/contract/pool-api.ts";
import { workerSignals } from "../../src/contract/worker-api.ts";
import { bringUp, until } from "../kit/workflow/fake-service.ts";
import { currentRun, flood, withLateStage } from "../kit/workflow/floods.ts";
import { gate, withKit } from "../kit/workflow/kit.ts";

/** The server refuses more than 10,000 signals to one run. */
const MOST = 9_900;

describe("as many signals as the server takes", () => {
  it("recover within a minute when they came to a pool that nothing served", async () => {
    await withLateStage(async (stage, service) => {
      const pool = await stage.startPool();
      await flood(pool, MOST, (index) => [poolSignals.scale.name, { target: index % 10 }]);
      await pool.signal(poolSignals.scale, { target: 7 });
      const answer = pool.executeUpdate(poolUpdates.pause);
      const servedAtMs = Date.now();
      await service.serve();
      expect(await answer).toMatchObject({ mode: "paused", hold: 7 });
      expect(Date.now() - servedAtMs).toBeLessThan(60_000);
      await until(stage.status, ({ messages }) => expect(messages).toBe(MOST + 2));
    });
  });

  it("recover when they came to a worker that nothing served, and it is still obeyed", async () => {
    await withLateStage(async (stage, service) => {
      const row = stage.book();
      const { handle } = await stage.startWorker(row.id);
      const kinds = [workerSignals.drain.name, workerSignals.fail.name, workerSignals.terminate.name, "dance"];
      await flood(handle, MOST, (index) => [kinds[index % kinds.length]!, { onlyIdle: true }]);
      await service.serve();
      await expect(stage.worker(row.id).result()).resolves.toMatchObject({ id: row.id });
      expect(stage.pods.size).toBe(0);
    });
  });

  it(
    "are no limit for a worker that refuses them: it goes on in a new run",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      const current = currentRun(kit.temporal, worker.handle);
      await flood(current, MOST + 1_000, () => [workerSignals.drain.name, { onlyIdle: true }]);
      expect((await current.describe()).historyLength).toBeLessThan(MOST);
      await worker.reaches("active");
      await current.signal(workerSignals.terminate);
      await expect(current.result()).resolves.toMatchObject({ status: "terminated" });
      expect(kit.called("createPod")).toHaveLength(1);
    }),
  );

  it(
    "may come at 500 a second to a pool that runs, and more than one run takes",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      const current = currentRun(kit.temporal, pool);
      const count = MOST + 2_000;
      const beganMs = Date.now();
      for (let from = 0; from < count; from += 100) {
        await flood(current, 100, (index) => [poolSignals.scale.name, { target: (from + index) % 10 }]);
        await delay(Math.max(0, beganMs + (from + 100) * 2 - Date.now()));
      }
      await current.signal(poolSignals.scale, { target: 5 });
      expect(await current.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused", hold: 5 });
      await until(kit.status, ({ messages }) => expect(messages).toBe(count + 2));
      const scaled = kit.messages.filter(({ kind }) => kind === "scale").length;
      expect(scaled + (kit.folded["scale"] ?? 0)).toBe(count + 1);
    }),
  );

  it(
    "are journaled and ignored while a pool shuts down",
    withKit(async (kit) => {
      const { row } = await bringUp(kit);
      const pool = await kit.startPool();
      await pool.executeUpdate(poolUpdates.shutdown);
      await flood(pool, 5_000, (index) => [poolSignals.scale.name, { target: index % 10 }]);
      kit.rows.delete(row.id);
      await pool.result();
      expect(kit.messages).toEqual([{ kind: "shutdown" }]);
      expect(kit.ignored.length + (kit.folded["ignored"] ?? 0)).toBe(5_000);
    }),
  );

  it(
    "wait for a database that does not answer, over as many runs as it takes",
    withKit(async (kit) => {
      const database = gate();
      kit.hooks.recordMessage = () => database.passed;
      kit.hooks.watchPool = () => database.passed;
      const pool = await kit.startPool();
      const current = currentRun(kit.temporal, pool);
      try {
        const update = pool.executeUpdate(poolUpdates.scale, { args: [{ target: 1 }] });
        const answer = update.catch((error: unknown) => error);
        await flood(current, MOST + 2_000, (index) => [poolSignals.scale.name, { target: index % 10 }]);
        await current.signal(poolSignals.scale, { target: 6 });
        expect(await answer).toMatchObject({ cause: { type: FAILURES.notWritten } });
      } finally {
        database.open();
      }
      expect(await current.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused", hold: 6 });
      const { runId } = await kit.temporal.workflow.getHandle(poolWorkflowId(kit.pool)).describe();
      expect(runId).not.toBe(pool.firstExecutionRunId);
    }),
  );
});
