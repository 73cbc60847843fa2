import { describe, expect, it } from "vitest";
import { bringUp, until } from "../../kit/workflow/fake-service.ts";
import { withKit } from "../../kit/workflow/kit.ts";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";

const SHUTDOWN = [{ kind: "shutdown" }];

describe.concurrent("a pool that is cancelled", () => {
  it(
    "closes as cancelled once its row says so and no worker is left",
    withKit(async (kit) => {
      const { row, worker } = await bringUp(kit);
      const pool = await kit.startPool();
      await until(kit.status, ({ phase }) => expect(phase).toBe("watching"));
      await pool.cancel();
      await until(
        () => kit.messages,
        (messages) => expect(messages).toEqual(SHUTDOWN),
      );
      const order = { reason: "closing: to zero gracefully", onlyIdle: false };
      kit.plans.push(kit.planOf([{ kind: "signal", worker: row.id, signal: { name: "drain", order } }]));
      await expect(pool.result()).rejects.toMatchObject({
        cause: { name: "CancelledFailure" },
      });
      expect((await pool.describe()).status.name).toBe("CANCELLED");
      expect(row.goneMs).not.toBeNull();
      expect(await worker.result()).toMatchObject({ status: "terminated" });
    }),
  );

  it(
    "goes on while a worker is left: pods do not outlive the workflow that buries them",
    withKit(async (kit) => {
      kit.watchMs = 50;
      const { row } = await bringUp(kit);
      const pool = await kit.startPool({ maxHistoryLength: 1000 });
      await pool.cancel();
      await until(
        () => kit.messages,
        (messages) => expect(messages).toEqual(SHUTDOWN),
      );
      const seen = kit.called("watchPool").length;
      await until(
        () => kit.called("watchPool").length,
        (watches) => expect(watches).toBeGreaterThan(seen + 3),
      );
      expect((await pool.describe()).status.name).toBe("RUNNING");
      expect(await kit.status()).toMatchObject({ phase: "closing" });
      Object.assign(row, { status: "terminated", goneMs: Date.now() });
      await expect(pool.result()).rejects.toMatchObject({ cause: { name: "CancelledFailure" } });
    }),
  );

  it(
    "does not close on an observation from before its shutdown was written down",
    withKit(async (kit) => {
      kit.watchMs = 50;
      let failures = 3;
      kit.hooks.recordMessage = () => {
        if (failures-- > 0) {
          throw new Error("the database does not answer");
        }
      };
      const pool = await kit.startPool();
      await pool.cancel();
      await expect(pool.result()).rejects.toMatchObject({ cause: { name: "CancelledFailure" } });
      expect(kit.messages).toEqual(SHUTDOWN);
    }),
  );

  it(
    "refuses other messages and answers why",
    withKit(async (kit) => {
      const { row } = await bringUp(kit);
      const pool = await kit.startPool();
      await pool.cancel();
      await until(
        () => kit.messages,
        (messages) => expect(messages).toEqual(SHUTDOWN),
      );
      await expect(pool.executeUpdate(poolUpdates.scale, { args: [{ target: 1 }] })).rejects.toMatchObject({
        cause: { message: "the pool is shutting down" },
      });
      await pool.signal(poolSignals.resume);
      await until(
        () => kit.ignored,
        (ignored) => expect(ignored).toEqual([{ kind: "resume", reason: "the pool is shutting down" }]),
      );
      expect(kit.messages).toEqual(SHUTDOWN);
      expect(row.status).toBe("active");
    }),
  );
});
