import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createBulkActivities } from "../../../src/activities/bulk.ts";
import type { WorkerAction } from "../../../src/contract/plan.ts";

const order = { reason: "nothing queued", onlyIdle: true };

function drain(worker: string): WorkerAction {
  return { kind: "signal", worker, signal: { name: "drain", order } };
}

/** Signals these workers. @returns what was done, in order, and the warnings. */
async function signalled(actions: readonly WorkerAction[], drainMany: () => Promise<string[]>) {
  const done: string[] = [];
  const warnings: string[] = [];
  const getHandle = (id: string) => ({
    signal: async ({ name }: { readonly name: string }) => void done.push(`${name} ${id.split("/").at(-1)}`),
  });
  const workers = {
    async drainMany(orders: readonly { readonly worker: string; readonly order: unknown }[]) {
      expect(orders.map((each) => each.order)).toEqual(orders.map(() => order));
      done.push(`rows ${orders.map(({ worker }) => worker).join(" ")}`);
      return await drainMany();
    },
  };
  const logger = pino(
    { level: "warn" },
    { write: (line) => void warnings.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const context = { client: { workflow: { getHandle } }, heartbeat: () => undefined } as unknown as Context;
  const { signalWorkers } = createBulkActivities({ deployment: "ours", workers, logger });
  const answer = await asyncLocalStorage.run(context, () => signalWorkers("main", actions));
  return { done, warnings, answer };
}

describe("many signals at once", () => {
  it("drain the rows before any workflow hears of it, and leave alone the workers that refused", async () => {
    const ready: WorkerAction = { kind: "signal", worker: "main-4", signal: { name: "ready" } };
    const actions = [drain("main-1"), drain("main-2"), drain("main-3"), ready];
    const { done, warnings, answer } = await signalled(actions, async () => ["main-2"]);
    expect(done).toEqual(["rows main-1 main-2 main-3", "drain main-1", "drain main-3", "ready main-4"]);
    expect([warnings, answer]).toEqual([[], { missing: [] }]);
  });

  it("go to the workflows also when the database does not answer", async () => {
    const { done, warnings } = await signalled([drain("main-1"), drain("main-2")], async () => {
      throw new Error("no answer");
    });
    expect(done.slice(1)).toEqual(["drain main-1", "drain main-2"]);
    expect(warnings).toEqual([expect.stringContaining("each drains by its own workflow")]);
  });

  it("ask nothing of the database if none is a drain", async () => {
    const released: WorkerAction = { kind: "signal", worker: "main-1", signal: { name: "released" } };
    expect((await signalled([released], async () => [])).done).toEqual(["released main-1"]);
  });
});
