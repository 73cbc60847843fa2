import { describe, expect, it } from "vitest";
import { FAILURES } from "../../../src/contract/failures.ts";
import { POOL_WORKFLOW, poolWorkflowId } from "../../../src/contract/names.ts";
import { until } from "../../kit/workflow/fake-service.ts";
import { cli, gate, UNREADABLE, withKit } from "../../kit/workflow/kit.ts";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";

describe.concurrent("an operator's message to a pool", () => {
  it(
    "is written down while a watch is running, and answered with what now holds",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      await until(kit.status, ({ phase }) => expect(phase).toBe("watching"));
      await until(
        () => kit.called("watchPool"),
        (watches) => expect(watches).toHaveLength(1),
      );
      const intent = await pool.executeUpdate(poolUpdates.scale, { args: [{ target: 3, for: 60 }] });
      expect(intent).toMatchObject({ mode: "normal", hold: 3, version: 2 });
      expect(await kit.status()).toMatchObject({ intent: { hold: 3, version: 2 }, watches: 0 });
      await pool.signal(poolSignals.pause);
      await until(
        () => kit.messages,
        (messages) => expect(messages).toEqual([{ kind: "scale", target: 3, forSec: 60 }, { kind: "pause" }]),
      );
      expect(kit.called("watchPool")).toHaveLength(1);
      expect(await kit.status()).toMatchObject({ watches: 0, messages: 2 });
    }),
  );

  it(
    "keeps its order, signals and updates mixed, also when writing it down fails in between",
    withKit(async (kit) => {
      let failures = 2;
      kit.hooks.recordMessage = () => {
        if (failures-- > 0) {
          throw new Error("the database does not answer");
        }
      };
      const pool = await kit.startPool();
      const updates: Promise<unknown>[] = [];
      for (let target = 0; target < 12; target++) {
        if (target % 3 === 2) {
          const update = await pool.startUpdate(poolUpdates.scale, { args: [{ target }], waitForStage: "ACCEPTED" });
          updates.push(update.result());
        } else {
          await pool.signal(poolSignals.scale, { target });
        }
      }
      await pool.executeUpdate(poolUpdates.resume);
      await Promise.all(updates);
      expect(kit.messages.map((message) => (message.kind === "scale" ? message.target : message.kind))).toEqual([
        ...Array.from({ length: 12 }, (_, target) => target),
        "resume",
      ]);
    }),
  );

  it(
    "waits its turn behind a message that is being written down",
    withKit(async (kit) => {
      const database = gate();
      kit.hooks.recordMessage = (_pool, message) => (message.kind === "drain" ? database.passed : undefined);
      const pool = await kit.startPool();
      await pool.signal(poolSignals.drain);
      const update = await pool.startUpdate(poolUpdates.resume, { waitForStage: "ACCEPTED" });
      await until(
        () => kit.called("recordMessage"),
        (calls) => expect(calls).toHaveLength(1),
      );
      expect(kit.messages).toEqual([]);
      database.open();
      expect(await update.result()).toMatchObject({ mode: "normal", version: 3 });
      expect(kit.messages).toEqual([{ kind: "drain" }, { kind: "resume" }]);
    }),
  );

  it.for([
    ["no payload", [], 'expected {"target": n | null'],
    ["text", ["ten"], 'expected {"target": n | null'],
    ["a list", [[3]], 'expected {"target": n | null'],
    ["no target", [{}], "target: "],
    ["a target below zero", [{ target: -1 }], "target: "],
    ["half a GPU", [{ target: 1.5 }], "target: "],
    ["a bare number that is no size", [-2], "target: expected a whole number from 0 to 10000, or null, got -2"],
    ["a target as text", [{ target: "3" }], "target: "],
    ["a target beyond reason", [{ target: 10_001 }], "target: "],
    ["no time at all", [{ target: 1, for: 0 }], "for: "],
    ["a time as text", [{ target: 1, for: "1h" }], "for: "],
    ["an unknown field", [{ target: 3, forSec: 60 }], 'unknown field "forSec"; known are target, for'],
  ] as const)("is refused at once and without a trace when a scale update holds %s", async ([, args, says]) => {
    await withKit(async (kit) => {
      const pool = await kit.startPool();
      await expect(
        pool.executeUpdate(poolUpdates.scale.name, { args: args as readonly unknown[] as [unknown] }),
      ).rejects.toMatchObject({
        cause: { type: FAILURES.invalidMessage, message: expect.stringContaining(says) },
      });
      const { events } = await pool.fetchHistory();
      expect(events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes)).toEqual([]);
      expect(kit.messages).toEqual([]);
      expect(kit.ignored).toEqual([]);
    })();
  });

  it.for(["drain", "resume", "pause", "shutdown"])("is refused when %s is asked for with a field", async (name) => {
    await withKit(async (kit) => {
      const pool = await kit.startPool();
      const message = 'unknown field "for"; none is known';
      await expect(pool.executeUpdate(name, { args: [{ for: 600 }] })).rejects.toMatchObject({ cause: { message } });
      expect(kit.messages).toEqual([]);
      expect(await pool.executeUpdate(name, { args: [{}] })).toMatchObject({ version: 2 });
    })();
  });

  it(
    "is journaled and ignored when the pool cannot read it, and the pool goes on (a handler never throws)",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      const id = poolWorkflowId(kit.pool);
      await pool.signal(poolSignals.scale.name);
      await pool.signal(poolSignals.scale.name, { target: "many" });
      await pool.signal("dance", { partner: null });
      await pool.signal(poolSignals.scale.name, { target: 3, forSec: 60 });
      await pool.signal(poolSignals.pause.name, { for: 600 });
      await cli("workflow", "signal", "-w", id, "--name", "scale");
      await cli("workflow", "signal", "-w", id, "--name", "scale", "--input", '"garbage"');
      await cli("workflow", "signal", "-w", id, "--name", "rescale", "--input", '{"target":3}');
      await cli("workflow", "signal", "-w", id, "--name", "pause", "--input", "3600");
      await cli("workflow", "signal", "-w", id, "--name", "drain");
      await cli("workflow", "signal", "-w", id, "--name", "scale", "--input", '{"target":2,"for":60}');
      await until(
        () => kit.messages,
        (messages) => expect(messages).toEqual([{ kind: "drain" }, { kind: "scale", target: 2, forSec: 60 }]),
      );
      const kinds = ["scale", "scale", "dance", "scale", "pause", "scale", "scale", "rescale", "pause"];
      expect(kit.ignored.map(({ kind }) => kind)).toEqual(kinds);
      expect(kit.ignored.map(({ reason }) => reason)).toEqual([
        expect.stringContaining("got nothing"),
        expect.stringContaining('target: expected a whole number from 0 to 10000, or null, got "many"'),
        expect.stringContaining("unknown signal"),
        'unknown field "forSec"; known are target, for',
        'unknown field "for"; none is known',
        expect.stringContaining("got nothing"),
        expect.stringContaining('got "garbage"'),
        expect.stringContaining("unknown signal"),
        "expected no payload, got 3600",
      ]);
      await expect(pool.executeUpdate("drain", { args: ["in an hour"] })).rejects.toMatchObject({
        cause: { message: 'expected no payload, got "in an hour"' },
      });
      expect(await pool.executeUpdate(poolUpdates.resume)).toMatchObject({ mode: "normal" });
    }),
  );

  it(
    "counts in the order in which it was sent, also where the pool's code had not begun to run",
    withKit(async (kit) => {
      const pool = await kit.temporal.workflow.signalWithStart(POOL_WORKFLOW, {
        workflowId: poolWorkflowId(kit.pool),
        taskQueue: kit.taskQueue,
        args: [{ pool: kit.pool }],
        signal: poolSignals.resume,
      });
      await pool.signal("dance");
      await pool.signal(poolSignals.drain);
      await pool.signal(poolSignals.scale, { target: 1 });
      await pool.signal(poolSignals.pause);
      await until(
        () => kit.messages.map(({ kind }) => kind),
        (kinds) => expect(kinds).toEqual(["resume", "drain", "scale", "pause"]),
      );
    }),
  );

  it(
    "is journaled and ignored also when its payload cannot be decoded",
    withKit(async (kit) => {
      const pool = await kit.startPool();
      const id = poolWorkflowId(kit.pool);
      await cli("workflow", "signal", "-w", id, "--name", "scale", ...UNREADABLE);
      await cli("workflow", "signal", "-w", id, "--name", "rescale", ...UNREADABLE);
      await until(
        () => kit.ignored,
        (ignored) =>
          expect(ignored).toEqual([
            { kind: "scale", reason: expect.stringContaining("cannot be decoded") },
            { kind: "rescale", reason: expect.stringContaining("unknown signal") },
          ]),
      );
      const update = ["workflow", "update", "execute", "-w", id, "--name", "scale"];
      await expect(cli(...update, ...UNREADABLE)).rejects.toThrow(/cannot be decoded/);
      expect(await pool.executeUpdate(poolUpdates.pause)).toMatchObject({ mode: "paused" });
    }),
  );

  it(
    "can be sent with the temporal command alone",
    withKit(async (kit) => {
      await kit.startPool();
      const id = poolWorkflowId(kit.pool);
      const scale = ["workflow", "update", "execute", "-w", id, "--name", "scale", "--output", "json"];
      expect(JSON.parse(await cli(...scale, "--input", '{"target":5}'))).toMatchObject({ result: { hold: 5 } });
      expect(JSON.parse(await cli(...scale, "--input", "4"))).toMatchObject({ result: { hold: 4 } });
      await expect(cli(...scale, "--input", '{"target":-5}')).rejects.toThrow(/target: expected a whole number/);
      const query = JSON.parse(await cli("workflow", "query", "-w", id, "--name", "status", "--output", "json"));
      expect(query).toMatchObject({ queryResult: [{ pool: kit.pool, messages: 2 }] });
    }),
  );
});

describe.concurrent("the status of a pool", () => {
  it(
    "is there before the first observation, and shows the latest one and the last decision after it",
    withKit(async (kit) => {
      const database = gate();
      kit.hooks.openPool = () => database.passed;
      await kit.startPool({ config: { minActiveGpus: 1 } });
      expect(await kit.status()).toEqual({
        pool: kit.pool,
        phase: "starting",
        intent: null,
        snapshot: null,
        lastDecision: null,
        watches: 0,
        messages: 0,
        recent: [],
      });
      const spawn = { kind: "spawn", count: 1, max: 4, intentVersion: 1, reason: "work is queued" };
      const plan = kit.planOf([spawn]);
      kit.plans.push(plan, kit.planOf([]));
      database.open();
      await until(kit.status, ({ watches }) => expect(watches).toBe(2));
      expect(await kit.status()).toMatchObject({
        phase: "watching",
        snapshot: { spawning: 1, reason: "the test says so" },
        lastDecision: { id: plan.decisionId, actions: 1, reason: "the test says so" },
      });
      expect(kit.called("openPool")).toEqual([
        [kit.pool, { minActiveGpus: 1 }, { first: expect.any(String), run: expect.any(String), lasting: true }],
      ]);
      // Only the first watch returns at once: there is no snapshot yet.
      await until(
        () => kit.called("watchPool"),
        (watches) =>
          expect(watches.map(([, known]) => known)).toEqual(
            [{}, { intentVersion: 1 }, { intentVersion: 1 }].map((more, index) => ({
              ...more,
              shown: index > 0,
              settings: null,
              cycle: index + 1,
            })),
          ),
      );
    }),
  );

  it(
    "is what the Web UI shows as current details",
    withKit(async (kit) => {
      kit.intent.hold = 2;
      kit.plans.push(kit.planOf([]));
      await kit.startPool();
      await until(kit.status, ({ watches }) => expect(watches).toBe(1));
      const details = await cli("workflow", "metadata", "-w", poolWorkflowId(kit.pool), "--output", "json");
      expect(details).toContain(`Pool ${kit.pool}: normal, held at 2`);
    }),
  );

  it(
    "keeps the last observation when a watch brings none",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([]), { decisionId: "blind", actions: [], snapshot: null });
      await kit.startPool();
      await until(kit.status, ({ watches }) => expect(watches).toBe(2));
      expect((await kit.status()).snapshot).toMatchObject({ reason: "the test says so" });
    }),
  );
});
