import { describe, expect, it } from "vitest";
import { createStyle } from "../../../src/client/render/output.ts";
import { renderSettings } from "../../../src/client/commands/pool/config.ts";
import { parsePairs } from "../../../src/client/setting-pairs.ts";
import { refuseLateConfig } from "../../../src/client/commands/pool/pool-start.ts";
import { describeLeft } from "../../../src/client/commands/pool/shutdown.ts";
import { describeOutcome } from "../../../src/client/commands/workers/order-worker.ts";
import type { Snapshot } from "../../../src/contract/plan.ts";

describe("settings on the command line", () => {
  it("are JSON if they can be read as JSON, else text", () => {
    expect(
      parsePairs(["maxActiveGpus=4", "policy=workload", 'schedules=[{"name":"a=b"}]', "budget=null", "x="]),
    ).toEqual({
      maxActiveGpus: 4,
      policy: "workload",
      schedules: [{ name: "a=b" }],
      budget: null,
      x: "",
    });
  });

  it.each([["maxActiveGpus"], ["=4"], ["a=1", "a=2"]])("are refused when they are %s %s", (...pairs: string[]) => {
    expect(() => parsePairs(pairs)).toThrow(/is no key=value|names its key a second time/);
  });

  it("are shown with their origins", () => {
    const values = { maxActiveGpus: 4, policy: "threshold", schedules: [], dailyBudgetUsd: null };
    const view = { values, own: ["maxActiveGpus"] };
    expect(renderSettings(view, null, 120, createStyle(false))).toEqual([
      "SETTING         VALUE      FROM",
      "maxActiveGpus   4          the pool",
      "policy          threshold  environment",
      "schedules       []         environment",
      "dailyBudgetUsd  -          environment",
    ]);
    expect(renderSettings(view, ["policy"], 120, createStyle(false))).toHaveLength(2);
  });

  it("that come after the start are printed as the command that applies them", () => {
    expect(() => refuseLateConfig("main", {})).not.toThrow();
    expect(() => refuseLateConfig("nightly", { maxActiveGpus: 4, schedules: [] })).toThrow(
      expect.objectContaining({
        message: "--config was not applied: pool nightly was running already",
        advice: "Change what it runs with: gpu-pool config set --pool nightly maxActiveGpus=4 schedules='[]'",
      }),
    );
  });
});

describe("an order about one worker", () => {
  it.each([
    ["drain", "ordered", "active", "worker box: draining", false],
    ["terminate", "ordered", "active", "worker box: terminating, its task goes back to the queue", false],
    ["drain", "external", "terminating", "worker box: draining", false],
    ["terminate", "removed", "terminated", "worker box: removed", false],
    ["drain", "already_leaving", "terminating", "worker box: leaves already (terminating)", false],
    ["drain", "not_living", "error", "worker box is no longer living (error)", true],
    ["drain", "unknown", null, "pool main has no worker box", true],
  ] as const)("%s with the outcome %s is described", (kind, outcome, status, text, failed) => {
    expect(describeOutcome("main", { kind, worker: "box" }, { outcome, status })).toEqual({ text, failed });
  });
});

describe("a shutdown's progress", () => {
  const left = (counts: Partial<Snapshot>) =>
    describeLeft("main", { spawning: 0, idle: 0, busy: 0, terminating: 0, failing: 0, ...counts } as Snapshot);

  it("counts every worker that remains", () => {
    expect(left({ spawning: 1, idle: 1, busy: 2, terminating: 1, failing: 1 })).toBe(
      "pool main: 6 workers left, 2 of them at work",
    );
    expect(left({ terminating: 1 })).toBe("pool main: 1 worker left");
    expect(left({})).toBe("pool main: ending");
    expect(describeLeft("main", null)).toBe("pool main: not observed yet");
  });
});
