import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createWatchActivity } from "../../src/activities/watch.ts";
import { loadConfig } from "../../src/config.ts";
import type { ObservedWorker } from "../../src/policy/observation.ts";
import type { PoolStore, Reading } from "../../src/supabase/pool-store.ts";
import { busy, idle, NOW, observe, SEC, times } from "./policy-kit.ts";

const config = loadConfig({
  SUPABASE_URL: "http://127.0.0.1:1",
  SUPABASE_ANON_KEY: "anon",
  SUPABASE_SERVICE_ROLE_KEY: "service",
  RUNPOD_API_KEY: "key",
  MIN_ACTIVE_GPUS: "2",
});
const silent = () => idle({ heartbeatMs: NOW - 400 * SEC });

/** One watch by a process that never watched before. @returns the kinds of what it journaled. */
async function journaled(fleet: readonly ObservedWorker[], suspended?: boolean): Promise<string[]> {
  const kinds: string[] = [];
  let watchId: string | null = null;
  const reading = (): Reading => ({
    ...observe(fleet),
    fleetHash: "hash",
    config: {},
    environment: {},
    watchId,
  });
  const pools: Partial<PoolStore> = {
    beginWatch: async (_pool, id) => void (watchId = id),
    observe: async () => reading(),
    expireExternal: async () => undefined,
    recordDecision: async () => undefined,
    journal: async (_pool, kind) => void kinds.push(kind),
  };
  const { watchPool } = createWatchActivity({
    config,
    pools: pools as PoolStore,
    listPods: async () => ({ kind: "unknown", detail: "not asked" }),
    logger: pino({ level: "silent" }),
  });
  const known = { shown: true, settings: null, once: true, ...(suspended === undefined ? {} : { suspended }) };
  const context: Partial<Context> = { heartbeat: () => undefined };
  await asyncLocalStorage.run(context as Context, async () => await watchPool("main", known));
  return kinds;
}

describe("that verdicts are held back", () => {
  it("is an alert when it begins, and journaled when it is over", async () => {
    expect(await journaled(times(2, silent), false)).toEqual(["alert.health_suspended"]);
    expect(await journaled(times(2, busy), true)).toEqual(["health.resumed"]);
  });

  it("is told once, also where another process watched when it began or ended", async () => {
    expect(await journaled(times(2, silent), true)).toEqual([]);
    expect(await journaled(times(2, busy), false)).toEqual([]);
  });
});
