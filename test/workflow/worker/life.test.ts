import { describe, expect, it } from "vitest";
import { POD_ID, WORKER_PHASE } from "../../../src/contract/search-attributes.ts";
import { bringUp, until } from "../../kit/workflow/fake-service.ts";
import { withKit } from "../../kit/workflow/kit.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";

describe.concurrent("the life of a GPU worker", () => {
  it(
    "goes from its reservation through ready and drain to a burial, proven by two absences in a row (invariant 2)",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      kit.absences.push(true, false, true, true);
      await worker.signal(workerSignals.drain, { reason: "not needed", onlyIdle: true });
      expect(await worker.result()).toEqual({ id: row.id, status: "terminated", reason: "not needed" });
      expect(kit.called("createPod")).toEqual([[kit.pool, row.id, { ...kit.timings }]]);
      expect(kit.called("drainWorker")).toEqual([
        [row.id, { reason: "not needed", onlyIdle: true, untilTaskEnds: false }],
      ]);
      expect(kit.called("removePod")).toEqual(Array.from({ length: 4 }, () => [row.id, row.podId]));
      expect(kit.called("workerGone")).toEqual([[row.id]]);
      expect(kit.calls.at(-1)?.name).toBe("workerGone");
    }),
  );

  it(
    "shows its phase and its pod where people look for them",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      const { typedSearchAttributes } = await worker.handle.describe();
      expect(typedSearchAttributes.get(WORKER_PHASE)).toBe("active");
      expect(typedSearchAttributes.get(POD_ID)).toBe(row.podId);
      await worker.signal(workerSignals.terminate);
      await worker.result();
      expect(await worker.phase()).toBe("gone");
    }),
  );

  it(
    "is drained at its maximum lifetime",
    withKit(
      async (kit) => {
        const row = kit.book();
        const worker = await kit.startWorker(row.id);
        await worker.reaches("booting");
        // It is active for no longer than a moment: its lifetime counts from its booking.
        kit.beat(row);
        await worker.signal(workerSignals.ready);
        const reason = "maximum lifetime of 1 s reached";
        expect(await worker.result()).toEqual({ id: row.id, status: "terminated", reason });
        expect(kit.called("drainWorker")).toEqual([[row.id, { reason, onlyIdle: false }]]);
      },
      { workerMaxLifetimeSec: 1 },
    ),
  );

  it(
    "still removes its pod after its row was deleted, and looks for a whole settle time (invariant 2)",
    withKit(
      async (kit) => {
        const { row, worker } = await bringUp(kit);
        kit.rows.delete(row.id);
        await worker.signal(workerSignals.terminate);
        expect(await worker.result()).toEqual({ id: row.id, status: "error", reason: null });
        expect([...kit.pods.values()]).not.toContain(row.id);
        expect(kit.called("removePod").length).toBeGreaterThanOrEqual(2);
        expect(kit.called("removePod")[0]).toEqual([row.id, row.podId]);
      },
      { podSettleSec: 0.5 },
    ),
  );

  it(
    "ends when its row is deleted before its pod is posted, instead of asking for ever",
    withKit(async (kit) => {
      const row = kit.book();
      kit.hooks.createPod = () => void kit.rows.delete(row.id);
      const worker = await kit.startWorker(row.id);
      expect(await worker.result()).toMatchObject({ status: "error" });
      expect(kit.called("createPod")).toHaveLength(1);
    }),
  );

  it(
    "tries to remove its pod until the provider answers",
    withKit(async (kit) => {
      let failures = 2;
      kit.hooks.removePod = () => {
        if (failures-- > 0) {
          throw new Error("the provider does not answer");
        }
      };
      const { row, worker } = await bringUp(kit);
      await worker.signal(workerSignals.terminate);
      expect(await worker.result()).toMatchObject({ status: "terminated" });
      expect(kit.called("removePod")).toHaveLength(4);
      expect(kit.pods.size).toBe(0);
      expect(row.goneMs).not.toBeNull();
    }),
  );

  it(
    "waits for the end of its task when it is drained while busy",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "shrinking", onlyIdle: false });
      await worker.reaches("draining");
      expect(row.status).toBe("terminating");
      expect(kit.called("removePod")).toEqual([]);
      row.busy = false;
      await worker.signal(workerSignals.released);
      expect(await worker.result()).toEqual({ id: row.id, status: "terminated", reason: "shrinking" });
      expect(kit.called("expelWorker")).toEqual([]);
    }),
  );

  it(
    "gives its task back when the graceful shutdown deadline passes",
    withKit(
      async (kit) => {
        const { row, worker } = await bringUp(kit);
        row.busy = true;
        await worker.signal(workerSignals.drain, { reason: "shrinking", onlyIdle: false });
        expect(await worker.result()).toMatchObject({ status: "terminated" });
        expect(kit.called("expelWorker")).toEqual([[row.id, "still busy 1 s after the drain"]]);
        const order = kit.calls.map(({ name }) => name);
        expect(order.indexOf("expelWorker")).toBeLessThan(order.indexOf("removePod"));
      },
      { gracefulShutdownTimeoutSec: 1 },
    ),
  );

  it(
    "is drained and buried when its workflow is cancelled, and closes as cancelled",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      await worker.handle.cancel();
      await expect(worker.result()).rejects.toMatchObject({ cause: { name: "CancelledFailure" } });
      expect((await worker.handle.describe()).status.name).toBe("CANCELLED");
      expect(row).toMatchObject({ status: "terminated", statusReason: "its workflow was cancelled" });
      expect(row.goneMs).not.toBeNull();
      expect(kit.pods.size).toBe(0);
    }),
  );

  it(
    "finishes its task before it is buried when its workflow is cancelled",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      await worker.handle.cancel();
      await worker.reaches("draining");
      expect(kit.pods.size).toBe(1);
      row.busy = false;
      await worker.signal(workerSignals.released);
      await expect(worker.result()).rejects.toMatchObject({ cause: { name: "CancelledFailure" } });
      expect(kit.called("expelWorker")).toEqual([]);
      await until(
        () => kit.pods.size,
        (left) => expect(left).toBe(0),
      );
    }),
  );
});
