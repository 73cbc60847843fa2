import { describe, expect, it } from "vitest";
import {
  created,
  createdUnrecorded,
  dies,
  diesBeforeThePost,
  lost,
  lostWithPod,
  refused,
} from "../../kit/workflow/fake-fleet.ts";
import { until } from "../../kit/workflow/fake-service.ts";
import { gate, withKit } from "../../kit/workflow/kit.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";

describe.concurrent("one billed pod per worker (invariant 1)", () => {
  // The slow ones first: the others run beside them.
  it(
    "tries again when the process that posts dies before it was elected",
    withKit(async (kit) => {
      kit.createAnswers.push(diesBeforeThePost);
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await until(
        () => kit.called("createPod"),
        (calls) => expect(calls).toHaveLength(2),
      );
      await worker.reaches("booting");
      expect(kit.called("findPod")).toEqual([]);
      expect(kit.pods.size).toBe(1);
    }),
  );

  it(
    "settles by name when the process that posts dies behind the election",
    withKit(async (kit) => {
      kit.createAnswers.push(async (row, launch) => {
        launch();
        return await dies(row, launch);
      });
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await until(
        () => kit.called("recordPod"),
        (calls) => expect(calls).toEqual([[row.id, expect.objectContaining({ podId: row.podId }), true]]),
      );
      await worker.reaches("booting");
      expect(kit.called("createPod")).toHaveLength(1);
      expect(kit.pods.size).toBe(1);
    }),
  );

  it(
    "adopts the pod of its name after an unclear answer, and posts no second one",
    withKit(async (kit) => {
      kit.createAnswers.push(lostWithPod);
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await worker.reaches("booting");
      expect(kit.called("createPod")).toHaveLength(1);
      expect(kit.called("recordPod")).toEqual([[row.id, expect.objectContaining({ podId: row.podId }), true]]);
      expect([...kit.pods]).toEqual([[row.podId, row.id]]);
    }),
  );

  it(
    "settles by name when the activity that posts fails, and never tries it again",
    withKit(async (kit) => {
      kit.createAnswers.push((_row, launch) => {
        launch();
        throw new Error("the process lost its connection");
      });
      const row = kit.book();
      await (await kit.startWorker(row.id)).reaches("booting");
      expect(kit.called("createPod")).toHaveLength(1);
      expect(kit.called("recordPod")).toHaveLength(1);
      expect(kit.pods.size).toBe(1);
    }),
  );

  it(
    "records the pod of a worker whose heartbeat came before the answer to its create request",
    withKit(async (kit) => {
      kit.createAnswers.push((row, launch) => {
        launch();
        kit.beat(row);
        return { kind: "ambiguous", detail: "the answer was lost" };
      });
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await worker.reaches("active");
      expect([...kit.pods]).toEqual([[row.podId, row.id]]);
      expect(kit.called("failWorker")).toEqual([]);
      await worker.signal(workerSignals.terminate);
      expect(await worker.result()).toMatchObject({ status: "terminated" });
      expect(kit.pods.size).toBe(0);
    }),
  );

  it(
    "waits for a pod that the provider shows late",
    withKit(
      async (kit) => {
        kit.createAnswers.push(lost);
        const row = kit.book();
        kit.hooks.findPod = () => {
          if (kit.called("findPod").length === 2) {
            kit.launch(row.id);
          }
        };
        await (await kit.startWorker(row.id)).reaches("booting");
        expect(kit.called("findPod")).toHaveLength(2);
        expect(kit.called("createPod")).toHaveLength(1);
        expect(row.podId).not.toBeNull();
      },
      { podSettleSec: 10 },
    ),
  );

  it(
    "burns its name when no pod of it appears, and is buried not before the settle time (invariant 2)",
    withKit(
      async (kit) => {
        kit.createAnswers.push(lost);
        const row = kit.book();
        const worker = await kit.startWorker(row.id);
        expect(await worker.result()).toMatchObject({
          status: "error",
          reason: expect.stringContaining("no clear answer"),
        });
        expect(kit.called("createPod")).toHaveLength(1);
        expect(kit.called("burnName")).toEqual([[row.id, expect.stringContaining("no pod of this name within 1 s")]]);
        expect(kit.called("failWorker")).toEqual([[row.id, "host_lost", expect.any(String), { onlyIfSpawning: true }]]);
        const order = kit.calls.map(({ name }) => name);
        expect(order.indexOf("burnName")).toBeLessThan(order.indexOf("failWorker"));
        expect(order.lastIndexOf("removePod")).toBeGreaterThan(order.indexOf("failWorker"));
        expect(row).toMatchObject({ postState: "burned", status: "error" });
        expect(row.goneMs).toBeGreaterThanOrEqual((row.postedMs ?? Infinity) + 1000);
      },
      { podSettleSec: 1 },
    ),
  );

  it(
    "does not take a failed list for an empty one (invariant 3)",
    withKit(async (kit) => {
      kit.createAnswers.push(lostWithPod);
      kit.hooks.findPod = () => {
        if (kit.called("findPod").length === 1) {
          throw new Error("the list is unknown");
        }
      };
      const row = kit.book();
      await (await kit.startWorker(row.id)).reaches("booting");
      expect(kit.called("burnName")).toEqual([]);
    }),
  );

  it(
    "tries again with back-off while the provider has no capacity, until its spawn deadline",
    withKit(
      async (kit) => {
        kit.createAnswers.push(refused("capacity", true), refused("capacity", true), created);
        const row = kit.book();
        const worker = await kit.startWorker(row.id);
        expect(await worker.result()).toEqual({
          id: row.id,
          status: "error",
          reason: "the provider refused its pod: capacity: says the provider",
        });
        expect(kit.called("createPod")).toHaveLength(2);
        expect(kit.called("removePod")).toEqual([]);
      },
      { spawningTimeoutSec: 12 },
    ),
  );

  it(
    "has its pod when the provider finds capacity in time",
    withKit(async (kit) => {
      kit.createAnswers.push(refused("capacity", true));
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await worker.reaches("booting");
      expect(kit.called("createPod")).toHaveLength(2);
      expect(kit.pods.size).toBe(1);
    }),
  );

  it(
    "leaves at once between two tries when it is drained",
    withKit(async (kit) => {
      kit.createAnswers.push(refused("capacity", true));
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await until(
        () => kit.called("createPod"),
        (calls) => expect(calls).toHaveLength(1),
      );
      await worker.signal(workerSignals.drain, { reason: "not needed", onlyIdle: true });
      expect(await worker.result()).toEqual({ id: row.id, status: "terminated", reason: "not needed" });
      expect(kit.called("createPod")).toHaveLength(1);
    }),
  );

  it(
    "ends at once when the provider refuses for good",
    withKit(async (kit) => {
      kit.createAnswers.push(refused("funds", false));
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      expect(await worker.result()).toMatchObject({ status: "error", reason: expect.stringContaining("funds") });
      expect(kit.called("createPod")).toHaveLength(1);
      expect(row.goneMs).not.toBeNull();
    }),
  );

  it(
    "records the pod itself when the activity could not",
    withKit(async (kit) => {
      kit.createAnswers.push(createdUnrecorded);
      const row = kit.book();
      await (await kit.startWorker(row.id)).reaches("booting");
      expect(kit.called("recordPod")).toEqual([[row.id, expect.objectContaining({ podId: row.podId }), false]]);
      expect(kit.called("findPod")).toEqual([]);
    }),
  );

  it(
    "goes on with the pod of another request that was elected before it",
    withKit(async (kit) => {
      const row = kit.book();
      kit.hooks.createPod = () => {
        Object.assign(row, { postState: "posted", podId: kit.launch(row.id).podId });
      };
      await (await kit.startWorker(row.id)).reaches("booting");
      expect(kit.called("createPod")).toHaveLength(1);
      expect(kit.pods.size).toBe(1);
    }),
  );

  it(
    "is not stopped by an order while it posts: the pod is recorded first, then deleted (invariant 2)",
    withKit(async (kit) => {
      const provider = gate();
      kit.createAnswers.push(async (row, launch) => {
        await provider.passed;
        return await created(row, launch);
      });
      const row = kit.book();
      const worker = await kit.startWorker(row.id);
      await until(
        () => row.postState,
        (state) => expect(state).toBe("posting"),
      );
      await worker.handle.cancel();
      await worker.signal(workerSignals.terminate);
      provider.open();
      await expect(worker.result()).rejects.toMatchObject({ cause: { name: "CancelledFailure" } });
      expect(row).toMatchObject({ postState: "posted", status: "terminated" });
      expect(kit.called("removePod")[0]).toEqual([row.id, row.podId]);
      expect(kit.pods.size).toBe(0);
    }),
  );
});
