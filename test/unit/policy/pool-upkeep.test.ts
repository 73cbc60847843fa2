import { describe, expect, it } from "vitest";
import { judgePools, type StockPool } from "../../../src/policy/pool-upkeep.ts";

const NOW_MS = 10_000_000;
const SILENT_MS = 300_000;
const RUNNING = { state: "running", status: "running" } as const;

function verdict(pool: Partial<StockPool>, firstMs?: number): string | undefined {
  const given: StockPool = {
    name: "main",
    shouldRun: true,
    mode: "normal",
    observedMs: NOW_MS,
    workflow: RUNNING,
    ...pool,
  };
  const sightings = new Map(firstMs === undefined ? [] : [["pool/main", firstMs]]);
  return judgePools({ nowMs: NOW_MS, silentMs: SILENT_MS, pools: [given], sightings })[0]?.verdict;
}

describe("a pool that should run", () => {
  it("comes back as it was when its workflow is lost or crashed, and paused when an operator terminated it", () => {
    expect(verdict({ workflow: { state: "missing", status: "none" } })).toBe("bring_back");
    for (const status of ["failed", "timed out", "completed", "canceled"]) {
      expect(verdict({ workflow: { state: "closed", status } })).toBe("bring_back");
    }
    expect(verdict({ workflow: { state: "closed", status: "terminated" } })).toBe("bring_back_paused");
  });

  it("is started again when its watch is silent at two sightings", () => {
    const silent = { observedMs: NOW_MS - SILENT_MS };
    expect(verdict({ observedMs: NOW_MS - SILENT_MS + 1 })).toBe("kept");
    expect(verdict(silent)).toBe("wait");
    expect(verdict(silent, NOW_MS - SILENT_MS + 1)).toBe("wait");
    expect(verdict(silent, NOW_MS - SILENT_MS)).toBe("restart");
    expect(verdict({ observedMs: null })).toBe("wait");
    expect(verdict({ observedMs: null }, 0)).toBe("restart");
  });
});

describe("a pool", () => {
  it("is left alone when it was shut down or runs by rounds", () => {
    for (const status of ["terminated", "completed", "failed"]) {
      expect(verdict({ shouldRun: false, workflow: { state: "closed", status } })).toBe("kept");
    }
    expect(verdict({ shouldRun: false, observedMs: null })).toBe("kept");
  });

  it("is left alone where Temporal does not answer, or another task queue has its workflow", () => {
    expect(verdict({ workflow: null, observedMs: null }, 0)).toBe("unknown");
    expect(verdict({ workflow: { state: "foreign", status: "running" }, observedMs: null }, 0)).toBe("not_ours");
  });
});
