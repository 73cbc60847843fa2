import { describe, expect, it } from "vitest";
import { bringUp, until } from "../../kit/workflow/fake-service.ts";
import { cli, gate, UNREADABLE, withKit } from "../../kit/workflow/kit.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";

describe.concurrent("orders to a GPU worker", () => {
  it(
    "leaves alone a worker that claimed a task before its drain came (invariant 6)",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "nothing queued", onlyIdle: true });
      await until(
        () => kit.called("drainWorker"),
        (calls) => expect(calls).toHaveLength(1),
      );
      expect(await worker.phase()).toBe("active");
      expect(row.status).toBe("active");
      row.busy = false;
      await worker.signal(workerSignals.drain, { reason: "nothing queued", onlyIdle: true });
      expect(await worker.result()).toMatchObject({ status: "terminated", reason: "nothing queued" });
    }),
  );

  it(
    "buries a worker whose row was drained and whose drain never came, once the pool says that it holds no task",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      let reads = 0;
      kit.hooks.loadWorker = async () => {
        reads += 1;
        if (reads === 1) {
          // The second signal comes while the row is read, and the row is drained after that.
          await worker.signal(workerSignals.released);
        } else {
          Object.assign(row, { status: "terminating", statusReason: "nothing queued", terminatingMs: Date.now() });
        }
      };
      await worker.signal(workerSignals.released);
      expect(await worker.result()).toEqual({ id: row.id, status: "terminated", reason: "nothing queued" });
      expect(reads).toBeGreaterThan(1);
      expect(kit.called("drainWorker")).toEqual([]);
      expect(kit.pods.size).toBe(0);
    }),
  );

  it(
    "keeps a worker that sent a heartbeat before its verdict came",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      const heartbeatMs = (row.heartbeatMs ?? 0) - 1;
      await worker.signal(workerSignals.fail, {
        evidence: "heartbeat",
        leaseCause: "worker_died",
        reason: "silent",
        heartbeatMs,
      });
      await until(
        () => kit.called("failWorker"),
        (calls) => expect(calls).toEqual([[row.id, "worker_died", "silent", { evidence: "heartbeat", heartbeatMs }]]),
      );
      expect(await worker.phase()).toBe("active");
      expect(row.status).toBe("active");
    }),
  );

  it(
    "invariant 17: a verdict with times that no clock shows gives no times as its evidence",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      const said = { leaseCause: "worker_died", reason: "silent" };
      await worker.signal(workerSignals.fail.name, {
        ...said,
        heartbeatMs: 1e300,
        progressMs: -0.5,
        failedSinceMs: -9e15,
      });
      await until(
        () => kit.called("failWorker"),
        (calls) => expect(calls).toEqual([[row.id, "worker_died", "silent", { evidence: null, heartbeatMs: null }]]),
      );
      expect(await worker.result()).toMatchObject({ status: "error" });
    }),
  );

  it(
    "ends a silent worker through error",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      await worker.signal(workerSignals.fail, {
        leaseCause: "worker_died",
        reason: "silent",
        heartbeatMs: row.heartbeatMs,
      });
      expect(await worker.result()).toEqual({ id: row.id, status: "error", reason: "silent" });
      expect(row.status).toBe("error");
      expect(kit.pods.size).toBe(0);
    }),
  );

  it(
    "fails a worker that dies while it drains, without waiting for its task",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "shrinking", onlyIdle: false });
      await worker.reaches("draining");
      await worker.signal(workerSignals.fail, {
        evidence: "progress",
        leaseCause: "stuck",
        reason: "no progress",
        heartbeatMs: null,
      });
      expect(await worker.result()).toEqual({ id: row.id, status: "error", reason: "no progress" });
      expect(kit.called("failWorker")).toEqual([
        [row.id, "stuck", "no progress", { evidence: "progress", heartbeatMs: null }],
      ]);
      expect(kit.called("expelWorker")).toEqual([]);
    }),
  );

  it(
    "still waits for the task when a verdict on a draining worker is refused",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "shrinking", onlyIdle: false });
      await worker.reaches("draining");
      const heartbeatMs = (row.heartbeatMs ?? 0) - 1;
      await worker.signal(workerSignals.fail, {
        evidence: "heartbeat",
        leaseCause: "worker_died",
        reason: "silent",
        heartbeatMs,
      });
      await until(
        () => kit.called("failWorker"),
        (calls) => expect(calls).toHaveLength(1),
      );
      expect(await worker.phase()).toBe("draining");
      expect(kit.called("removePod")).toEqual([]);
      row.busy = false;
      await worker.signal(workerSignals.released);
      expect(await worker.result()).toEqual({ id: row.id, status: "terminated", reason: "shrinking" });
      expect(kit.called("expelWorker")).toEqual([]);
    }),
  );

  it(
    "gives the task of a terminated worker back and buries it at once",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      await worker.signal(workerSignals.terminate);
      expect(await worker.result()).toMatchObject({ status: "terminated", reason: "terminated by an operator" });
      expect(kit.called("expelWorker")).toEqual([[row.id, "terminated by an operator"]]);
    }),
  );

  it(
    "cuts a graceful drain short when an operator terminates the worker",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "shrinking", onlyIdle: false });
      await worker.reaches("draining");
      await worker.signal(workerSignals.terminate);
      expect(await worker.result()).toMatchObject({ status: "terminated" });
      expect(kit.called("expelWorker")).toEqual([[row.id, "terminated by an operator"]]);
    }),
  );

  it(
    "keeps the stronger of two orders that wait",
    withKit(async (kit) => {
      const provider = gate();
      kit.hooks.createPod = () => provider.passed;
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await worker.reaches("creating");
      await worker.signal(workerSignals.terminate);
      await worker.signal(workerSignals.drain, { reason: "shrinking", onlyIdle: false });
      provider.open();
      expect(await worker.result()).toMatchObject({ reason: "terminated by an operator" });
    }),
  );

  it.for([
    ["nothing", []],
    ["text", ["garbage"]],
    ["null", [null]],
    ["fields of the wrong types", [{ reason: 7, onlyIdle: "yes" }]],
  ] as const)("takes a drain with %s as a graceful one", async ([, payload]) => {
    await withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      await worker.signal(workerSignals.drain.name, ...payload);
      expect(await worker.result()).toMatchObject({ status: "terminated", reason: "drain asked for by signal" });
      expect(kit.called("drainWorker")).toEqual([
        [row.id, { reason: "drain asked for by signal", onlyIdle: false, untilTaskEnds: false }],
      ]);
    })();
  });

  it.for([
    ["nothing", []],
    ["a number", [42]],
    ["fields of the wrong types", [{ leaseCause: "boredom", reason: [], heartbeatMs: "now" }]],
  ] as const)("takes a verdict with %s as the loss of the host", async ([, payload]) => {
    await withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      await worker.signal(workerSignals.fail.name, ...payload);
      expect(await worker.result()).toMatchObject({ status: "error", reason: "failed by signal" });
      expect(kit.called("failWorker")).toEqual([
        [row.id, "host_lost", "failed by signal", { evidence: null, heartbeatMs: null }],
      ]);
    })();
  });

  it(
    "lets a task take as long as it needs after a drain without a deadline, until a drain with one comes",
    withKit(
      async (kit) => {
        const patient = await bringUp(kit);
        const ended = await bringUp(kit);
        for (const { row, worker } of [patient, ended]) {
          row.busy = true;
          await worker.signal(workerSignals.drain, {
            reason: "the budget is spent",
            onlyIdle: false,
            untilTaskEnds: true,
          });
          await worker.reaches("draining");
        }
        await ended.worker.signal(workerSignals.drain, { reason: "now", onlyIdle: false });
        expect(await ended.worker.result()).toMatchObject({ status: "terminated" });
        expect(ended.row.drainsWithoutDeadline).toBe(false);
        expect(kit.called("expelWorker").map(([id]) => id)).toEqual([ended.row.id]);
        expect(await patient.worker.phase()).toBe("draining");
        patient.row.busy = false;
        await patient.worker.signal(workerSignals.released);
        expect(await patient.worker.result()).toMatchObject({ status: "terminated", reason: "the budget is spent" });
        expect(kit.called("expelWorker")).toHaveLength(1);
        // Once at the start of each workflow: later the answers to the orders hold the row.
        expect(kit.called("loadWorker")).toHaveLength(2);
      },
      { gracefulShutdownTimeoutSec: 1 },
    ),
  );

  it(
    "takes a drain whose payload cannot be decoded as a graceful one",
    withKit(async (kit) => {
      const { worker } = await bringUp(kit);
      await cli("workflow", "signal", "-w", worker.handle.workflowId, "--name", "drain", ...UNREADABLE);
      expect(await worker.result()).toMatchObject({ status: "terminated", reason: "drain asked for by signal" });
    }),
  );
});
