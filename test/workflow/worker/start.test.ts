import { describe, expect, it } from "vitest";
import { until } from "../../kit/workflow/fake-service.ts";
import { withKit } from "../../kit/workflow/kit.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";

describe.concurrent("a worker workflow that starts for an existing row", () => {
  it(
    "ends at once when there is no such row",
    withKit(async (kit) => {
      const id = `${kit.pool}-00000000`;
      const worker = await kit.startWorker(id);
      expect(await worker.result()).toEqual({ id, status: "unknown", reason: "no such row" });
      expect(kit.calls.map(({ name }) => name)).toEqual(["loadWorker"]);
    }),
  );

  it(
    "leaves a row alone that is gone",
    withKit(async (kit) => {
      const row = kit.book({
        status: "terminated",
        postState: "posted",
        podId: "pod-1",
        goneMs: Date.now(),
        statusReason: "done",
      });
      const worker = await kit.startWorker(row.id);
      expect(await worker.result()).toEqual({ id: row.id, status: "terminated", reason: "done" });
      expect(kit.called("removePod")).toEqual([]);
      expect(kit.called("workerGone")).toEqual([]);
    }),
  );

  it(
    "serves an active one without a new pod",
    withKit(async (kit) => {
      const row = kit.book({ status: "active", postState: "posted", podId: "pod-1", readyMs: Date.now() });
      const worker = await kit.startWorker(row.id);
      await worker.reaches("active");
      expect(kit.called("createPod")).toEqual([]);
      await worker.signal(workerSignals.drain, { reason: "not needed", onlyIdle: true });
      expect(await worker.result()).toMatchObject({ status: "terminated" });
      expect(kit.called("removePod")[0]).toEqual([row.id, "pod-1"]);
    }),
  );

  it(
    "waits for the ready signal of one whose pod is posted",
    withKit(async (kit) => {
      const row = kit.book({ postState: "posted", podId: "pod-1" });
      const worker = await kit.startWorker(row.id);
      await worker.reaches("booting");
      kit.beat(row);
      await worker.signal(workerSignals.ready);
      await worker.reaches("active");
      expect(kit.called("createPod")).toEqual([]);
    }),
  );

  it(
    "settles one by name whose post was under way",
    withKit(async (kit) => {
      const row = kit.book({ postState: "posting", postedMs: Date.now() });
      const pod = kit.launch(row.id);
      await (await kit.startWorker(row.id)).reaches("booting");
      expect(row.podId).toBe(pod.podId);
      expect(kit.called("createPod")).toEqual([]);
    }),
  );

  it(
    "ends one whose name was burned",
    withKit(async (kit) => {
      const row = kit.book({ postState: "burned", postedMs: Date.now() - 60_000 });
      const worker = await kit.startWorker(row.id);
      expect(await worker.result()).toEqual({ id: row.id, status: "error", reason: "its name was burned" });
      expect(kit.called("createPod")).toEqual([]);
      expect(kit.called("removePod")[0]).toEqual([row.id, null]);
    }),
  );

  it(
    "waits for the task of a terminating one",
    withKit(async (kit) => {
      const row = kit.book({
        status: "terminating",
        postState: "posted",
        podId: "pod-1",
        busy: true,
        terminatingMs: Date.now(),
      });
      const worker = await kit.startWorker(row.id);
      await worker.reaches("draining");
      expect(kit.called("drainWorker")).toEqual([]);
      row.busy = false;
      await worker.signal(workerSignals.released);
      expect(await worker.result()).toMatchObject({ status: "terminated" });
      expect(kit.called("expelWorker")).toEqual([]);
    }),
  );

  it(
    "lets the task of one that drains without a deadline end, however long it has been terminating, until a drain with a deadline comes",
    withKit(
      async (kit) => {
        const terminatingMs = Date.now() - 60_000;
        const seen = { status: "terminating", postState: "posted", podId: "pod-1", busy: true, terminatingMs } as const;
        const row = kit.book({ ...seen, drainsWithoutDeadline: true });
        const worker = await kit.startWorker(row.id);
        await worker.reaches("draining");
        expect(kit.called("expelWorker")).toEqual([]);
        await worker.signal(workerSignals.drain, { reason: "shutdown", onlyIdle: false });
        expect(await worker.result()).toMatchObject({ status: "terminated" });
        expect(kit.called("expelWorker")).toHaveLength(1);
        expect((row.terminatingMs ?? 0) - terminatingMs).toBeGreaterThanOrEqual(60_000);
      },
      { gracefulShutdownTimeoutSec: 1 },
    ),
  );

  it(
    "gives back the task of a terminating one whose deadline passed before its workflow ran",
    withKit(async (kit) => {
      const terminatingMs = Date.now() - 60_000;
      const row = kit.book({ status: "terminating", postState: "posted", podId: "pod-1", busy: true, terminatingMs });
      const worker = await kit.startWorker(row.id);
      expect(await worker.result()).toMatchObject({ status: "terminated" });
      expect(kit.called("expelWorker")).toHaveLength(1);
    }),
  );

  it(
    "buries one in error, and its status stays error",
    withKit(async (kit) => {
      const row = kit.book({ status: "error", postState: "posted", podId: "pod-1", statusReason: "no heartbeat" });
      const worker = await kit.startWorker(row.id);
      expect(await worker.result()).toEqual({ id: row.id, status: "error", reason: "no heartbeat" });
      expect(kit.called("removePod")).toHaveLength(2);
      expect(row).toMatchObject({ status: "error", goneMs: expect.any(Number) });
    }),
  );

  it(
    "watches the name of one that never showed its pod for the whole settle time (invariant 2)",
    withKit(
      async (kit) => {
        const postedMs = Date.now();
        const row = kit.book({ status: "error", postState: "posting", postedMs });
        const worker = await kit.startWorker(row.id);
        await until(
          () => kit.called("removePod").length,
          (looks) => expect(looks).toBeGreaterThanOrEqual(2),
        );
        await worker.result();
        expect(row.goneMs).toBeGreaterThanOrEqual(postedMs + 3000);
        expect(kit.calls.filter(({ name }) => name === "removePod").at(-1)?.atMs).toBeGreaterThanOrEqual(
          postedMs + 2500,
        );
      },
      { podSettleSec: 3 },
    ),
  );
});
