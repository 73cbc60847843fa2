import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createObserver, type LastSizing, type Observed } from "../../../src/activities/observer.ts";
import { podEvidenceBook } from "../../../src/activities/pod-evidence.ts";
import { loadConfig } from "../../../src/config/config.ts";
import type { Figures } from "../../../src/supabase/measured/figures.ts";
import type { ObserveRequest, Reading } from "../../../src/supabase/observation.ts";
import type { PoolStore } from "../../../src/supabase/pool-store.ts";
import { idle, NOW, SEC, spawnOf, signalled } from "../../kit/policy.ts";
import { noBootStages, readingOf } from "../../kit/reading.ts";

const config = loadConfig({
  SUPABASE_URL: "http://127.0.0.1:1",
  SUPABASE_ANON_KEY: "anon",
  SUPABASE_SERVICE_ROLE_KEY: "service",
  RUNPOD_API_KEY: "key",
  GPU_IDLE_TIMEOUT_SEC: "300",
  MIN_ACTIVE_GPUS: "0",
  MAX_ACTIVE_GPUS: "10",
});

/** One watch over a pool of one worker; each look takes the next of `readings`. */
async function looks(
  readings: readonly Partial<Reading>[],
  asked: ObserveRequest[] = [],
  before: LastSizing = { sizing: null },
): Promise<Observed[]> {
  const worker = idle({ heartbeatMs: NOW - 299 * SEC });
  const read = readingOf([worker]);
  const watch = { pool: "main", id: "watch", patient: false, before } as const;
  let look = 0;
  const pools: Partial<PoolStore> = {
    beginWatch: async () => undefined,
    expireExternal: async () => undefined,
    observe: async (_pool, request) => {
      asked.push(request);
      const { full, knownFleetHash } = request;
      return {
        ...read,
        alerts: full ? [] : null,
        watchId: watch.id,
        fleet: full || knownFleetHash === null ? read.fleet : null,
        ...(readings[look++] ?? readings.at(-1)),
      };
    },
  };
  const observer = createObserver(
    {
      config,
      deployment: "ours",
      pools: pools as PoolStore,
      listPods: async () => ({ kind: "unknown", detail: "not asked" }),
      market: { catalog: async () => null },
      workers: noBootStages,
      logger: pino({ level: "silent" }),
    },
    { ...watch, provider: { book: podEvidenceBook("ours"), listAt: Number.POSITIVE_INFINITY, completeListMs: null } },
  );
  const seen: Observed[] = [];
  for (const _reading of readings) {
    seen.push(await observer());
  }
  return seen;
}

function failed({ decision }: Observed) {
  return signalled(decision.actions, "fail");
}

describe("a watch that looks again", () => {
  it("decides again at once when anything but the clock has changed", async () => {
    const soon = NOW + SEC / 2;
    const [before, after] = await looks([{}, { nowMs: soon, queued: 30 }]);
    expect(before && spawnOf(before.decision.actions)).toBeUndefined();
    expect(after && spawnOf(after.decision.actions)).toMatchObject({ kind: "spawn" });
    const [, reconfigured] = await looks([{ queued: 30 }, { nowMs: soon, queued: 30, config: { maxActiveGpus: 2 } }]);
    expect(reconfigured && spawnOf(reconfigured.decision.actions)).toMatchObject({ count: 1, max: 2 });
  });

  it("decides again after two seconds when only the clock has moved", async () => {
    const [before, after] = await looks([{}, { nowMs: NOW + 2 * SEC }]);
    expect(before && failed(before)).toEqual([]);
    expect(after && failed(after)).toHaveLength(1);
  });

  it("keeps a decision for less than that, and updates the time of its last look", async () => {
    const [, second, third] = await looks([{}, { nowMs: NOW + 1.5 * SEC }, { nowMs: NOW + 2.5 * SEC }]);
    expect(second && failed(second)).toEqual([]);
    expect(second?.decision.snapshot.observedAt).toBe(new Date(NOW + 1.5 * SEC).toISOString());
    expect(third && failed(third)).toHaveLength(1);
  });
});

describe("the measured figures", () => {
  const config = { policy: "latency" };
  const figures: Figures = {
    measuredMs: NOW,
    bootSec: 60,
    boots: [],
    services: [],
    speeds: [],
    priorsSec: {},
    demand: [{ taskType: "generate_video", model: null, queued: 0, arrivalsPerSec: 0.05 }],
    coming: [],
    waitValue: null,
    waited: null,
  };

  it("are asked for at once where the pool's policy needs them, and kept until there are newer ones", async () => {
    const asked: ObserveRequest[] = [];
    const later = NOW + 3 * SEC;
    const [first, second] = await looks(
      [{ config }, { config, measured: figures }, { config, nowMs: later }, { config, nowMs: later }],
      asked,
    );
    expect(asked.map(({ measure }) => measure?.knownMs)).toEqual([undefined, null, NOW, NOW, NOW]);
    for (const seen of [first, second]) {
      expect(seen?.decision.snapshot.reason).toContain("boots 60 s");
    }
  });

  it("bring the kinds of the fleet's tasks with them, also where the fleet has not changed", async () => {
    const asked: ObserveRequest[] = [];
    await looks([{}, { config }, { config, measured: figures }, { config }, {}, {}], asked);
    expect(asked.map(({ knownFleetHash }) => knownFleetHash)).toEqual([
      null,
      "hash",
      null,
      "hash",
      "hash",
      null,
      "hash",
    ]);
  });

  it("are learnt from only while the policy rules the pool's size, also in the next watch", async () => {
    const asked: ObserveRequest[] = [];
    const before: LastSizing = { sizing: null };
    const target = { policy: "latency", targetWaitSec: 60 };
    const seen = { config: target, measured: figures };
    const held = { ...seen, intent: { mode: "normal", hold: 3, holdUntilMs: null, version: 2 } } as const;
    // The first look of each watch does not know the settings yet, so it asks twice.
    await looks([seen, seen, held], asked, before);
    await looks([seen], asked, before);
    await looks([{ config: target, measured: { ...figures, bootSec: 90 } }], asked, before);
    await looks([seen], asked, before);
    const targets = asked.flatMap(({ measure }) => (measure === undefined ? [] : [measure.target]));
    expect(targets.map((each) => each?.learns)).toEqual([false, true, false, false, true, true]);
    expect(targets.at(-1)?.first).toBeCloseTo((90 / 60) ** 2.5, 6);
  });

  it("cost a pool with another policy nothing", async () => {
    const asked: ObserveRequest[] = [];
    await looks([{}, {}], asked);
    expect(asked.map(({ measure }) => measure)).toEqual([undefined, undefined]);
  });
});
