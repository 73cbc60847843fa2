import { describe, expect, it } from "vitest";
import { until } from "../../kit/workflow/fake-service.ts";
import { withKit } from "../../kit/workflow/kit.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";

const QUICK = { spawningTimeoutSec: 1 };

describe.concurrent("a fired spawn deadline is a question (invariant 8)", () => {
  it(
    "does not end a worker whose row became active before the process looked",
    withKit(async (kit) => {
      const row = kit.book();
      kit.hooks.checkBoot = () => kit.beat(row);
      const worker = await kit.startWorker(row.id);
      await worker.reaches("active");
      expect(kit.called("checkBoot")).toEqual([[row.id, row.podId]]);
      expect(kit.called("failWorker")).toEqual([]);
    }, QUICK),
  );

  it(
    "counts anew from a later boot stage, and names the last one when it ends the worker",
    withKit(async (kit) => {
      const row = kit.book();
      kit.hooks.checkBoot = () => {
        if (row.bootStage !== "running") {
          Object.assign(row, { bootStage: "running", bootStageMs: Date.now() });
        }
      };
      const worker = await kit.startWorker(row.id);
      const reason = 'no heartbeat 1 s after boot stage "running"';
      expect(await worker.result()).toEqual({ id: row.id, status: "error", reason });
      expect(kit.called("checkBoot")).toHaveLength(2);
      expect(kit.called("failWorker")).toEqual([[row.id, "worker_died", reason, { onlyIfSpawning: true }]]);
      expect(kit.pods.size).toBe(0);
    }, QUICK),
  );

  it.each(["pulling", "installing", "loading"] as const)(
    "gives the stage %s a deadline of its own, however long the others may last",
    async (stage) => {
      const setting = {
        pulling: "bootPullingTimeoutSec",
        installing: "bootInstallingTimeoutSec",
        loading: "bootLoadingTimeoutSec",
      }[stage];
      const others = {
        spawningTimeoutSec: 600,
        bootPullingTimeoutSec: 600,
        bootInstallingTimeoutSec: 600,
        bootLoadingTimeoutSec: 600,
      };
      await withKit(
        async (kit) => {
          const row = kit.book();
          kit.hooks.checkBoot = () => {
            if (row.bootStage !== stage) {
              Object.assign(row, { bootStage: stage, bootStageMs: Date.now() });
            }
          };
          const worker = await kit.startWorker(row.id);
          const reason = `no heartbeat 1 s after boot stage "${stage}"`;
          expect(await worker.result()).toEqual({ id: row.id, status: "error", reason });
          expect(kit.called("checkBoot")).toHaveLength(2);
        },
        { ...others, [setting]: 1 },
      )();
    },
  );

  it(
    "does not end a stage that may last longer at the deadline of another",
    withKit(
      async (kit) => {
        const row = kit.book();
        kit.hooks.checkBoot = () => {
          if (row.bootStage !== "pulling") {
            Object.assign(row, { bootStage: "pulling", bootStageMs: Date.now() });
          }
          if (kit.called("checkBoot").length === 3) {
            kit.beat(row);
          }
        };
        await (await kit.startWorker(row.id)).reaches("active");
        expect(kit.called("failWorker")).toEqual([]);
      },
      { spawningTimeoutSec: 1, bootPullingTimeoutSec: 600 },
    ),
  );

  it(
    "loses the race against a first heartbeat that comes in the last moment",
    withKit(async (kit) => {
      const row = kit.book();
      kit.hooks.failWorker = () => kit.beat(row);
      const worker = await kit.startWorker(row.id);
      await worker.reaches("active");
      expect(kit.called("failWorker")).toHaveLength(1);
      expect(row.status).toBe("active");
      await worker.signal(workerSignals.terminate);
      expect(await worker.result()).toMatchObject({ status: "terminated" });
    }, QUICK),
  );

  it(
    "asks the row also when the provider does not say how far the boot is",
    withKit(async (kit) => {
      const row = kit.book();
      kit.hooks.checkBoot = () => {
        kit.beat(row);
        throw new Error("the provider does not answer");
      };
      await (await kit.startWorker(row.id)).reaches("active");
      expect(kit.called("checkBoot")).toHaveLength(3);
      expect(kit.called("failWorker")).toEqual([]);
    }, QUICK),
  );

  it(
    "is not moved by a verdict that the row refuses",
    withKit(async (kit) => {
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await worker.reaches("booting");
      row.heartbeatMs = 2000;
      await worker.signal(workerSignals.fail, { leaseCause: "worker_died", reason: "silent", heartbeatMs: 1000 });
      await until(
        () => kit.called("failWorker"),
        (calls) => expect(calls).toHaveLength(1),
      );
      expect(await worker.phase()).toBe("booting");
      kit.beat(row);
      await worker.signal(workerSignals.ready);
      await worker.reaches("active");
    }),
  );

  it(
    "ends a booting worker whose pod is lost",
    withKit(async (kit) => {
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await worker.reaches("booting");
      await worker.signal(workerSignals.fail, {
        leaseCause: "host_lost",
        reason: "its pod vanished",
        heartbeatMs: null,
      });
      expect(await worker.result()).toEqual({ id: row.id, status: "error", reason: "its pod vanished" });
      expect(row.goneMs).not.toBeNull();
    }),
  );
});
