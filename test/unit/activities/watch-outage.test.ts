import { asyncLocalStorage, type Context, type Info } from "@temporalio/activity";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createWatchActivity } from "../../../src/activities/watch.ts";
import { loadConfig } from "../../../src/config/config.ts";
import type { Plan } from "../../../src/contract/plan.ts";
import type { Reading } from "../../../src/supabase/observation.ts";
import type { AlertStore } from "../../../src/supabase/alert-store.ts";
import type { PoolStore } from "../../../src/supabase/pool-store.ts";
import { busy, SEC, spawnOf } from "../../kit/policy.ts";
import { noBootStages, readingOf } from "../../kit/reading.ts";

const BETWEEN_LOOKS_MS = 10 * SEC;
async function unreachable(): Promise<never> {
  throw new Error("the database does not answer");
}

interface Circumstances {
  readonly stopping?: AbortSignal;
  readonly once?: boolean;
  /** Called between two looks; default: the clock goes on. */
  readonly pause?: () => Promise<void>;
}

/** One watch of a pool that should grow. @returns its plan, and the times of its full passes, in seconds. */
async function watched(
  overrides: Partial<PoolStore>,
  env: Readonly<Record<string, string>> = {},
  { stopping = new AbortController().signal, once = false, pause }: Circumstances = {},
): Promise<{ plan: Plan; fullAtSec: number[] }> {
  const config = loadConfig({
    SUPABASE_URL: "http://127.0.0.1:1",
    SUPABASE_ANON_KEY: "anon",
    SUPABASE_SERVICE_ROLE_KEY: "service",
    RUNPOD_API_KEY: "key",
    MIN_ACTIVE_GPUS: "2",
    ...env,
  });
  const begunMs = Date.now();
  const fullAtSec: number[] = [];
  const fleet = [busy()];
  let watchId: string | null = null;
  const pools: Partial<PoolStore> = {
    beginWatch: async (_pool, id) => void (watchId = id),
    observe: async (_pool, { full }): Promise<Reading> => {
      if (full) {
        fullAtSec.push((Date.now() - begunMs) / 1000);
      }
      return { ...readingOf(fleet), watchId };
    },
    expireExternal: async () => undefined,
    recordDecision: async () => undefined,
    journal: async () => undefined,
    ...overrides,
  };
  const alerts: Partial<AlertStore> = { settle: async () => undefined };
  const { watchPool } = createWatchActivity({
    config,
    deployment: "ours",
    pools: pools as PoolStore,
    alerts: alerts as AlertStore,
    listPods: async () => ({ kind: "unknown", detail: "not asked" }),
    market: { catalog: async () => null },
    workers: noBootStages,
    logger: pino({ level: "silent" }),
    stopping,
  });
  const context: Partial<Context> = {
    info: { workflowExecution: { workflowId: "gpu-pool/main", runId: "run-1" } } as Info,
    heartbeat: () => undefined,
    sleep: pause ?? (async () => void vi.setSystemTime(Date.now() + BETWEEN_LOOKS_MS)),
  };
  const known = { shown: true, settings: null, once };
  const plan = await asyncLocalStorage.run(context as Context, async () => await watchPool("main", known));
  return { plan, fullAtSec };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

describe("a watch without its database", () => {
  it("returns no action that it could not journal, however long the outage lasts", async () => {
    const { plan } = await watched({ recordDecision: unreachable });
    expect(plan).toMatchObject({ actions: [], snapshot: { desired: 2 } });
  });

  it("returns the actions that it could journal in the end", async () => {
    const written: string[] = [];
    const recordDecision: PoolStore["recordDecision"] = async (_pool, { id }) => {
      written.push(id);
      if (written.length < 3) {
        await unreachable();
      }
    };
    const { plan } = await watched({ recordDecision });
    expect(written).toHaveLength(3);
    expect(plan.decisionId).toBe(written[2]);
    expect(spawnOf(plan.actions)).toMatchObject({ count: 1 });
  });

  it("returns nothing when no look succeeds", async () => {
    expect((await watched({ observe: unreachable })).plan).toMatchObject({ actions: [], snapshot: null });
  });
});

describe("a watch whose process is told to stop", () => {
  it.for([false, true])(
    "is given to another process at once, without counting as a failure; once: %s",
    async (once) => {
      const process = new AbortController();
      const observe = vi.fn(async () => (process.abort(), await unreachable()));
      const watch = watched({ observe }, {}, { stopping: process.signal, once });
      await expect(watch).rejects.toMatchObject({ category: "BENIGN", nextRetryDelay: "100ms", nonRetryable: false });
      expect(observe).toHaveBeenCalledOnce();
    },
  );

  it("does not wait for the end of the pause between two looks", async () => {
    const process = new AbortController();
    const pause = async () => {
      process.abort();
      vi.setSystemTime(Date.now() + BETWEEN_LOOKS_MS);
      await new Promise<void>(() => undefined);
    };
    const observe = vi.fn(unreachable);
    const watch = watched({ observe }, {}, { stopping: process.signal, pause });
    await expect(watch).rejects.toMatchObject({ category: "BENIGN" });
    expect(observe).toHaveBeenCalledOnce();
  });

  it("returns the actions that it has journaled", async () => {
    const process = new AbortController();
    const recordDecision = async () => process.abort();
    const { plan } = await watched({ recordDecision }, {}, { stopping: process.signal });
    expect(spawnOf(plan.actions)).toMatchObject({ count: 1 });
  });
});

describe("full passes", () => {
  it.for([
    [{}, [0, 30, 60, 90]],
    [{ GPU_IDLE_TIMEOUT_SEC: "40" }, [0, 10, 20, 30]],
    [{ TASK_STUCK_TIMEOUT_SEC: "80" }, [0, 20, 40, 60]],
  ] as const)("come often enough for what they are judged by: %j", async ([env, atSec]) => {
    const { fullAtSec } = await watched({ recordDecision: unreachable }, env);
    expect(fullAtSec.slice(0, 4)).toEqual(atSec);
  });
});
