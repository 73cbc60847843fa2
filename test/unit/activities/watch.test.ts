import { asyncLocalStorage, type Context, type Info } from "@temporalio/activity";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createWatchActivity } from "../../../src/activities/watch.ts";
import { loadConfig } from "../../../src/config/config.ts";
import type { Condition } from "../../../src/contract/alerts.ts";
import type { ObservedWorker } from "../../../src/policy/observation.ts";
import type { Reading } from "../../../src/supabase/observation.ts";
import type { AlertStore } from "../../../src/supabase/alert-store.ts";
import type { PoolStore } from "../../../src/supabase/pool-store.ts";
import { busy, idle, NOW, SEC, times } from "../../kit/policy.ts";
import { noBootStages, readingOf } from "../../kit/reading.ts";

const config = loadConfig({
  SUPABASE_URL: "http://127.0.0.1:1",
  SUPABASE_ANON_KEY: "anon",
  SUPABASE_SERVICE_ROLE_KEY: "service",
  RUNPOD_API_KEY: "key",
  MIN_ACTIVE_GPUS: "2",
});
function silent() {
  return idle({ heartbeatMs: NOW - 400 * SEC });
}

interface Line {
  readonly kind: string;
  readonly reason: string;
  readonly details: unknown;
}

/** One watch of each fleet, by one process that never watched before. @returns what each watch journaled. */
async function watches(fleets: readonly (readonly ObservedWorker[])[], marks: boolean[] = []): Promise<Line[][]> {
  const lines: Line[][] = [];
  let fleet: readonly ObservedWorker[] = [];
  let watchId: string | null = null;
  let open: readonly Condition[] = [];
  const reading = (): Reading => ({
    ...readingOf(fleet, { massSilenceSinceMs: marks.at(-1) === true ? NOW : null }),
    alerts: open,
    watchId,
  });
  const pools: Partial<PoolStore> = {
    beginWatch: async (_pool, id) => void (watchId = id),
    observe: async () => reading(),
    expireExternal: async () => undefined,
    recordDecision: async () => undefined,
    markMassSilence: async (_pool, lasts) => void marks.push(lasts),
    journal: async (_pool, kind, reason, details) => void lines.at(-1)?.push({ kind, reason, details }),
  };
  const alerts: Partial<AlertStore> = {
    async settle(_pool, _kinds, current) {
      open = current;
      lines.at(-1)?.push({ kind: `open: ${current.map(({ kind }) => kind).join()}`, reason: "", details: current });
    },
  };
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
  const known = { shown: true, settings: null, once: true };
  const info = { workflowExecution: { workflowId: "gpu-pool/main", runId: "run-1" } } as Info;
  const context: Partial<Context> = { info, heartbeat: () => undefined };
  for (const seen of fleets) {
    fleet = seen;
    lines.push([]);
    await asyncLocalStorage.run(context as Context, async () => await watchPool("main", known));
  }
  return lines;
}

/** The kinds of what each watch wrote. */
async function written(fleets: readonly (readonly ObservedWorker[])[], marks: boolean[] = []): Promise<string[][]> {
  return (await watches(fleets, marks)).map((lines) => lines.map(({ kind }) => kind));
}

describe("the alerts that an observation shows", () => {
  const well = times(2, busy);
  const quiet = times(2, silent);

  it("are written when one opens, and no more while it lasts", async () => {
    expect(await written([well, quiet, quiet, quiet])).toEqual([[], ["open: workers_stale"], [], []]);
  });

  it("close when two full passes in a row do not show them, so that what comes and goes is told of once", async () => {
    expect(await written([quiet, well, quiet, well, well, well])).toEqual([
      ["open: workers_stale"],
      [],
      [],
      [],
      ["open: "],
      [],
    ]);
  });
});

it("invariant 4: a mass silence is marked in the pool's row when it begins and when it is over", async () => {
  const marks: boolean[] = [];
  const quiet = times(3, silent);
  const seen = await written([times(3, busy), quiet, quiet, [silent(), ...times(2, busy)], times(3, busy)], marks);
  expect(marks).toEqual([true, false]);
  expect(seen).toEqual([[], ["open: workers_stale"], [], [], ["open: "]]);
});

describe("a warning of missing VRAM figures", () => {
  const stale = idle({ id: "worker-stale", vramMs: NOW - 400 * SEC });
  const well = idle({ id: "worker-well" });
  const other = idle({ id: "worker-other", vramMs: NOW - 301 * SEC });

  it("is journaled with the worker's name and the time without figures", async () => {
    expect(await watches([[well, stale]])).toEqual([
      [
        {
          kind: "worker.vram_stale",
          reason: "worker-stale: heartbeats come, VRAM figures not for 400 s (GPU_IDLE_TIMEOUT_SEC 300)",
          details: { worker: "worker-stale" },
        },
      ],
    ]);
  });

  it("is journaled once for each worker, not again by each look", async () => {
    const warned = (await watches([[stale], [stale], [stale, other], [stale, other]])).map((lines) =>
      lines.map(({ details }) => details),
    );
    expect(warned).toEqual([[{ worker: "worker-stale" }], [], [{ worker: "worker-other" }], []]);
  });

  it("is journaled again if the figures had come in between", async () => {
    const seen = await watches([[stale], [{ ...stale, vramMs: NOW }], [stale]]);
    expect(seen.map((lines) => lines.length)).toEqual([1, 0, 1]);
  });
});
