import { asyncLocalStorage, type Context, type Info } from "@temporalio/activity";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createWatchActivity } from "../../../src/activities/watch.ts";
import { loadConfig } from "../../../src/config/config.ts";
import type { Intent } from "../../../src/contract/intent.ts";
import type { Plan } from "../../../src/contract/plan.ts";
import type { AlertStore } from "../../../src/supabase/alert-store.ts";
import type { Figures } from "../../../src/supabase/measured/figures.ts";
import type { PoolStore } from "../../../src/supabase/pool-store.ts";
import { SEC } from "../../kit/policy.ts";
import { noBootStages, readingOf } from "../../kit/reading.ts";

const NORMAL = { mode: "normal", hold: null, holdUntilMs: null, version: 1 } as const;
const PAUSED = { ...NORMAL, mode: "paused", version: 2 } as const;

/** Watches of an empty pool by one process. */
function createWatches(env: Readonly<Record<string, string>> = {}, measure: () => Figures | null = () => null) {
  const config = loadConfig({
    SUPABASE_URL: "http://127.0.0.1:1",
    SUPABASE_ANON_KEY: "anon",
    SUPABASE_SERVICE_ROLE_KEY: "service",
    RUNPOD_API_KEY: "key",
    MIN_ACTIVE_GPUS: "0",
    ...env,
  });
  let watchId: string | null = null;
  let intent: Intent = NORMAL;
  let queued = 0;
  const pools: Partial<PoolStore> = {
    beginWatch: async (_pool, id) => void (watchId = id),
    observe: async () => ({ ...readingOf([], { intent, queued }), watchId, measured: measure() }),
    expireExternal: async () => undefined,
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
  });
  const context: Partial<Context> = {
    info: { workflowExecution: { workflowId: "gpu-pool/main", runId: "run-1" } } as Info,
    heartbeat: () => undefined,
    sleep: async () => void vi.setSystemTime(Date.now() + SEC),
  };
  return {
    say: (said: Intent) => void (intent = said),
    queue: (count: number) => void (queued = count),
    /** @returns the watch's plan, and after how many seconds it came. */
    async watch(shown: Plan | null): Promise<{ plan: Plan; tookSec: number }> {
      const known = {
        shown: shown !== null,
        state: shown?.state,
        settings: shown?.settings?.fingerprint ?? null,
        intentVersion: shown?.snapshot?.intent.version,
      };
      const begunMs = Date.now();
      const plan = await asyncLocalStorage.run(context as Context, async () => await watchPool("main", known));
      return { plan, tookSec: (Date.now() - begunMs) / 1000 };
    },
  };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

describe("what the status shows of a pool", () => {
  it("is left as it is while nothing changes", async () => {
    const { watch } = createWatches();
    const { plan } = await watch(null);
    expect((await watch(plan)).tookSec).toBe(300);
  });

  it("is left as it is while only figures in the reason change", async () => {
    const kind = { taskType: "generate_video", model: null };
    const reasons = new Set<string>();
    let arrivalsPerSec = 0.001;
    const { watch } = createWatches({ SCALING_POLICY: "latency" }, () => {
      arrivalsPerSec *= 0.999;
      const demand = [{ ...kind, queued: 0, arrivalsPerSec }];
      const empty = { services: [], priorsSec: {}, coming: [], boots: [], speeds: [] };
      return { ...empty, measuredMs: Date.now(), bootSec: 120, demand, waitValue: null, waited: null };
    });
    const { plan } = await watch(null);
    reasons.add(plan.snapshot?.reason ?? "");
    const { plan: later, tookSec } = await watch(plan);
    reasons.add(later.snapshot?.reason ?? "");
    expect(tookSec).toBe(300);
    expect([...reasons]).toEqual([expect.stringContaining("4 an hour"), expect.stringContaining("3 an hour")]);
  });

  it("is brought up to date within seconds, also when it changed between two watches", async () => {
    const { say, queue, watch } = createWatches();
    say(PAUSED);
    const { plan: shown } = await watch(null);
    queue(3);
    const { plan, tookSec } = await watch(shown);
    expect(plan.snapshot).toMatchObject({ queued: 3 });
    expect(tookSec).toBe(10);
  });

  it("follows an operator's word at once", async () => {
    const { say, watch } = createWatches();
    const { plan: shown } = await watch(null);
    say(PAUSED);
    expect(await watch(shown)).toMatchObject({ plan: { snapshot: { intent: PAUSED } }, tookSec: 0 });
  });

  it("is brought up to date also when a later watch finds it as the one before last did", async () => {
    const { say, queue, watch } = createWatches();
    say(PAUSED);
    const { plan: first } = await watch(null);
    queue(3);
    const { plan: shown } = await watch(first);
    queue(0);
    expect(await watch(shown)).toMatchObject({ plan: { snapshot: { queued: 0 } }, tookSec: 10 });
  });
});
