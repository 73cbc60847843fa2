import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, it } from "vitest";
import { FAILURES } from "../../../src/contract/failures.ts";
import { POOL_WORKFLOW, poolWorkflowId } from "../../../src/contract/names.ts";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";
import { until } from "../../kit/workflow/fake-service.ts";
import { cli, withKit } from "../../kit/workflow/kit.ts";

const DEEP = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;

/** A payload as a client of any language may send it; this process could not write JSON of so many levels. */
function payloads(json: string) {
  return { payloads: [{ metadata: { encoding: Buffer.from("json/plain") }, data: Buffer.from(json) }] };
}

function refusal(): ApplicationFailure {
  return ApplicationFailure.nonRetryable("the row does not take it", FAILURES.databaseRefusal);
}

describe.concurrent("a message that the database does not take", () => {
  it(
    "invariant 16: is never one with half a character, which would be refused without end",
    withKit(async (kit) => {
      kit.hooks.journalIgnored = (_pool, _kind, reason) => {
        if (/\p{Surrogate}/u.test(reason)) {
          throw new Error("PGRST102: Empty or invalid json");
        }
      };
      const pool = await kit.startPool();
      const id = poolWorkflowId(kit.pool);
      for (const target of ["🎬".repeat(60), `x${"🎬".repeat(60)}`]) {
        const input = JSON.stringify({ target });
        await cli("workflow", "signal", "-w", id, "--name", "scale", "--input", input);
      }
      await pool.signal(poolSignals.pause);
      expect(await pool.executeUpdate(poolUpdates.resume)).toMatchObject({ mode: "normal" });
      expect(kit.ignored).toHaveLength(2);
      expect(kit.messages).toEqual([{ kind: "pause" }, { kind: "resume" }]);
    }),
  );

  it(
    "invariant 16: may be nested deeper than this process can write, also in the settings of a start",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      const { workflowService } = kit.temporal;
      const request = { namespace: "default", identity: "test" };
      const workflowExecution = { workflowId: pool.workflowId };
      for (const json of [
        DEEP,
        `{"target":${DEEP}}`,
        `{"target":1,"for":${DEEP}}`,
        `{${JSON.stringify("x")}:${DEEP}}`,
      ]) {
        const signal = { ...request, workflowExecution, signalName: "scale", input: payloads(json) };
        await workflowService.signalWorkflowExecution(signal);
      }
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
      expect(kit.ignored).toHaveLength(4);

      const workflowId = `${pool.workflowId}-deep`;
      await workflowService.startWorkflowExecution({
        ...request,
        workflowId,
        workflowType: { name: POOL_WORKFLOW },
        taskQueue: { name: kit.taskQueue },
        requestId: workflowId,
        input: payloads(`{"pool":"${kit.pool}","config":{"schedules":${DEEP}}}`),
      });
      await expect(kit.temporal.workflow.getHandle(workflowId).result()).rejects.toMatchObject({
        cause: { type: FAILURES.invalidConfig, message: "config: the settings are nested too deeply" },
      });
    }),
  );

  it(
    "invariant 16: is journaled without its words, and the next one is obeyed",
    withKit(async (kit) => {
      kit.hooks.journalIgnored = (_pool, kind, reason) => {
        if (`${kind}: ${reason}`.includes("odd")) {
          throw refusal();
        }
      };
      kit.hooks.recordMessage = (_pool, message) => {
        if (message.kind === "drain") {
          throw refusal();
        }
      };
      const pool = await kit.startPool();
      await pool.signal(poolSignals.scale.name, { target: "odd" });
      await pool.signal("odd signal");
      await pool.signal(poolSignals.drain);
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
      expect(kit.messages).toEqual([{ kind: "pause" }]);
      await until(
        () => kit.ignored,
        (ignored) => {
          expect(ignored.map(({ kind }) => kind).toSorted()).toEqual(["drain", "scale", "unknown signal"]);
          expect(new Set(ignored.map(({ reason }) => reason))).toEqual(new Set(["the database refused it"]));
        },
      );
    }),
  );

  it(
    "invariant 16: does not stop the pool when no entry about it is taken either",
    withKit(async (kit) => {
      kit.hooks.journalIgnored = () => {
        throw refusal();
      };
      const pool = await kit.startPool();
      await pool.signal("dance");
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
      await pool.signal("dance");
      expect(await pool.executeUpdate(poolUpdates.resume)).toMatchObject({ mode: "normal" });
    }),
  );

  it(
    "answers its caller with the reason when it is an update",
    withKit(async (kit) => {
      kit.hooks.recordMessage = (_pool, message) => {
        if (message.kind === "drain") {
          throw refusal();
        }
      };
      kit.hooks.orderWorker = () => {
        throw refusal();
      };
      const pool = await kit.startPool();
      const cause = { type: FAILURES.databaseRefusal, message: "the row does not take it" };
      await expect(pool.executeUpdate(poolUpdates.drain)).rejects.toMatchObject({ cause });
      const order = pool.executeUpdate(poolUpdates.drainWorker, { args: [{ worker: "w-1" }] });
      await expect(order).rejects.toMatchObject({ cause });
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
    }),
  );

  it(
    "is refused with a readable reason when it holds half a character",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      await expect(pool.executeUpdate(poolUpdates.reconfigure, { args: [{ "\ud83c": 1 }] })).rejects.toMatchObject({
        cause: { type: FAILURES.invalidMessage, message: expect.stringContaining("no setting that a pool may have") },
      });
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
    }),
  );
});

describe("a plan that the database does not take", () => {
  it(
    "invariant 16: leaves the pool running and its operator heard",
    withKit(async (kit) => {
      kit.hooks.reserveWorkers = () => {
        throw refusal();
      };
      kit.plans.push(kit.planOf([{ kind: "spawn", count: 1, max: 4, intentVersion: 1, reason: "work is queued" }]));
      const pool = await kit.startPool();
      await until(
        () => kit.called("reserveWorkers"),
        (calls) => expect(calls).toHaveLength(1),
      );
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
      expect(kit.rows.size).toBe(0);
    }),
  );
});
