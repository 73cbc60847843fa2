import { describe, expect, it } from "vitest";
import { createStyle, visibleWidth } from "../../../src/client/render/output.ts";
import type { FleetWorker, PoolReading } from "../../../src/client/render/pool-reading.ts";
import { renderStatus, statusJson } from "../../../src/client/render/status.ts";
import type { Look } from "../../../src/contract/activities.ts";
import type { Intent } from "../../../src/contract/intent.ts";

const NOW = Date.parse("2026-01-01T12:00:00Z");
const bare = createStyle(false);

function worker(overrides: Partial<FleetWorker>): FleetWorker {
  return {
    id: "main-0a1b2c3d",
    status: "active",
    origin: "pool",
    bootStage: "ready",
    bootStageMs: NOW - 3_600_000,
    bootTimeoutSec: null,
    podId: "8f3ebe9415ea84",
    createdMs: NOW - 3_725_000,
    heartbeatMs: NOW - 4_000,
    costPerHourUsd: 0.69,
    task: null,
    ...overrides,
  };
}

function intent(overrides: Partial<Intent> = {}): Intent {
  return { mode: "normal", hold: null, holdUntilMs: null, version: 1, ...overrides };
}

function reading(overrides: Partial<PoolReading> = {}): PoolReading {
  return {
    pool: "main",
    nowMs: NOW,
    intent: intent(),
    fleet: [
      worker({}),
      worker({
        id: "main-11111111",
        task: { id: "c4308e18-0000-4000-8000-000000000000", type: "generate_video", progress: 0.9 },
      }),
      worker({
        id: "main-22222222",
        status: "spawning",
        bootStage: "pulling",
        bootStageMs: NOW - 4_000,
        bootTimeoutSec: 1200,
        heartbeatMs: null,
        createdMs: NOW - 5_000,
      }),
    ],
    jobs: [],
    processes: [
      { host: "box", pid: 7, version: "0.1.0", taskQueue: "gpu-pool", leads: true, startedMs: NOW - 3_600_000 },
      { host: "other", pid: 1, version: "0.1.1", taskQueue: "gpu-pool", leads: false, startedMs: NOW - 5_000 },
    ],
    undone: [],
    queue: { open: 12, held: 3, blocked: 1, delayed: 0, inProgress: 1, completeLastDay: 40, failedLastDay: 2 },
    measured: null,
    costUsd: 3.456,
    account: { hourlyUsd: 4.14, todayUsd: 12.3, maxHourlySpendUsd: null, dailyBudgetUsd: null },
    breaker: { state: "closed", sinceMs: NOW - 125_000 },
    lastDecision: { atMs: NOW - 14_000, reason: "12 queued → spawn 1" },
    messages: [],
    alerts: [],
    controller: {
      state: "answers",
      look: { observedAt: "2026-01-01T11:59:57Z" },
      status: {
        pool: "main",
        phase: "watching",
        watches: 5,
        messages: 1,
        lastDecision: null,
        intent: intent(),
        snapshot: {
          observedAt: "2026-01-01T11:59:50Z",
          intent: intent(),
          desired: 3,
          queued: 12,
          spawning: 1,
          idle: 1,
          busy: 1,
          terminating: 0,
          failing: 0,
          costPerHourUsd: 2.07,
          spend: { hourlyUsd: 4.14, todayUsd: 12.3 },
          breaker: "closed",
          schedule: null,
          suspended: null,
          rule: "threshold",
          reason: "12 queued → spawn 1",
        },
      },
    },
    ...overrides,
  };
}

describe("status", () => {
  it("shows a pool on one screen 120 wide", () => {
    expect(renderStatus(reading(), 120, bare)).toEqual([
      "pool main: normal, the policy decides its size",
      "controller watching; 5 watches, 1 message so far; seen 3s ago",
      "size       3 desired by threshold; 1 spawning, 1 idle, 1 busy, 0 terminating, 0 in error",
      "queue      12 open, 3 held, 1 blocked; 1 in progress",
      "last 24 h  40 complete, 2 failed",
      "cost       $2.07 an hour, $3.46 so far",
      "account    $4.14 an hour, $12.30 today, over all pools",
      "decision   14s ago: 12 queued → spawn 1",
      "processes  2: box (0.1.0, since 1h00m), other (0.1.1, since 5s)",
      "",
      "WORKER         STATUS    BOOT                  TASK                     DONE    AGE  BEAT   $/H  POD",
      "main-0a1b2c3d  active    ready                 -                              1h02m    4s  0.69  8f3ebe9415ea84",
      "main-11111111  active    ready                 c4308e18 generate_video   90%  1h02m    4s  0.69  8f3ebe9415ea84",
      "main-22222222  spawning  pulling 4s of 20m00s  -                                 5s     -  0.69  8f3ebe9415ea84",
    ]);
  });

  it("shows the processes that give signs of life, and what to do where none does", () => {
    expect(statusJson(reading())).toMatchObject({
      processes: [{ host: "box", leads: true, startedAt: "2026-01-01T11:00:00.000Z" }, { version: "0.1.1" }],
    });
    expect(renderStatus(reading({ processes: [] }), 120, bare)).toContain(
      "processes  no Temporal worker gives a sign of life; start one: gpu-pool run",
    );
  });

  it("shows pods that were rented for a job, and counts what they cost", () => {
    const job = {
      id: "main-33333333",
      purpose: "volume-prepare",
      progress: "step 3 of 7: weights",
      costPerHourUsd: 0.5,
    };
    const lines = renderStatus(reading({ jobs: [job] }), 120, bare);
    expect(lines).toContain("cost       $2.57 an hour, $3.46 so far");
    expect(lines).toContain("job        volume-prepare by pod main-33333333: step 3 of 7: weights");
    expect(statusJson(reading({ jobs: [job] }))).toMatchObject({ jobs: [job], cost: { perHourUsd: 2.57 } });
  });

  it("shows what was measured, in a line and a table", () => {
    const kind = { taskType: "image", model: null };
    const measured = {
      measuredMs: NOW,
      bootSec: 45,
      boots: [],
      services: [{ ...kind, samples: 7, quantilesSec: Array.from({ length: 21 }, () => 5) }],
      speeds: [],
      priorsSec: {},
      demand: [{ ...kind, queued: 0, arrivalsPerSec: 0.01 }],
      coming: [],
      waitValue: null,
      waited: null,
    };
    const lines = renderStatus(reading({ measured }), 120, bare);
    expect(lines).toContain("measured   boots 45s; 36 tasks an hour");
    expect(lines).toContain("image      all           7  5s      5s   5s");
    expect(statusJson(reading({ measured }))).toMatchObject({ measured: { bootSec: 45, arrivalsPerHour: 36 } });
  });

  it("names the types of waiting tasks that no worker can do, and what to do, only if there are any", () => {
    const undone = [
      { taskType: "comfy", tasks: 3 },
      { taskType: "odd\u001b[2Jtype", tasks: 10_000 },
    ];
    const [line, ...more] = renderStatus(reading({ undone }), 200, bare).filter((each) => each.startsWith("undone"));
    expect(line).toBe(
      "undone     3 comfy, 10000 oddtype: no worker can do them; start one that can, set WORKER_TASK_TYPES if new ones can, or cancel them",
    );
    expect(more).toEqual([]);
    expect(statusJson(reading({ undone }))).toMatchObject({ undone });
    expect(renderStatus(reading(), 200, bare).join("\n")).not.toContain("undone");
  });

  it("counts the tasks that their workers handed back, only if there are any", () => {
    const queue = { ...reading().queue, delayed: 2 };
    expect(renderStatus(reading({ queue }), 120, bare)).toContain(
      "queue      12 open, 3 held, 1 blocked, 2 delayed; 1 in progress",
    );
  });

  it("shows caps, an open breaker, a schedule and held back verdicts only if there are any", () => {
    const plainly = reading();
    const { controller } = plainly;
    if (controller.state !== "answers" || controller.status.snapshot === null) {
      throw new Error("it answers");
    }
    const snapshot = { ...controller.status.snapshot, schedule: "nights", suspended: "4 of 5 workers are silent" };
    const lines = renderStatus(
      reading({
        account: { hourlyUsd: 5.1, todayUsd: 12.3, maxHourlySpendUsd: 5, dailyBudgetUsd: 50 },
        breaker: { state: "half_open", sinceMs: NOW - 125_000 },
        controller: { ...controller, status: { ...controller.status, snapshot } },
      }),
      120,
      bare,
    );
    const circumstances = [
      "account    $5.10 of $5.00 an hour, $12.30 of $50.00 today, over all pools",
      "breaker    half-open for 2m05s: one spawn at a time",
      "schedule   nights",
      "health     verdicts suspended: 4 of 5 workers are silent",
    ];
    expect(lines.slice(6, 10)).toEqual(circumstances);
    const without = renderStatus(plainly, 120, bare).join("\n");
    expect(without).not.toMatch(/^(breaker|schedule|health)/m);
  });

  it("warns when the pool was not observed for longer than a few looks, even if the controller answers", () => {
    const { controller } = reading();
    if (controller.state !== "answers") {
      throw new Error("it answers");
    }
    const seen = (look: Look | null, laterMs: number) =>
      reading({ nowMs: NOW + laterMs, controller: { ...controller, look } });
    const fails = seen({ observedAt: "2026-01-01T11:59:57Z" }, 120_000);
    const text = renderStatus(fails, 200, bare).join("\n");
    expect(text).toContain("so far; seen 2m03s ago\nWARNING    not observed for 2m03s: the pool may have changed");
    expect(statusJson(fails)).toMatchObject({
      controller: { state: "answers", observedAt: "2026-01-01T11:59:57Z", stale: true },
    });
    expect(renderStatus(seen({ observedAt: null }, 120_000), 200, bare).join("\n")).toContain("WARNING");
    // Nothing has changed for four minutes, but the pool was observed all the time.
    const quiet = seen({ observedAt: "2026-01-01T12:03:58Z" }, 240_000);
    expect(renderStatus(quiet, 200, bare).join("\n")).not.toContain("WARNING");
    // A watch of an older version reports only when it returns, after five minutes.
    expect(renderStatus(seen(null, 240_000), 200, bare).join("\n")).not.toContain("WARNING");
    expect(renderStatus(seen(null, 400_000), 200, bare).join("\n")).toContain("WARNING");
  });

  it("keeps worker, status, task and heartbeat within 60 columns", () => {
    const lines = renderStatus(reading({ lastDecision: { atMs: NOW, reason: "very ".repeat(40) } }), 60, bare);
    expect(Math.max(...lines.map(visibleWidth))).toBeLessThanOrEqual(60);
    expect(lines.find((line) => line.startsWith("WORKER"))).toMatch(/^WORKER +STATUS +TASK +DONE +BEAT$/);
  });

  it("is as wide with colours as without", () => {
    for (const width of [60, 120]) {
      const widths = (enabled: boolean) => renderStatus(reading(), width, createStyle(enabled)).map(visibleWidth);
      expect(widths(true)).toEqual(widths(false));
    }
  });

  it("says that no controller answers, and still shows the database's counts", () => {
    const text = renderStatus(reading({ controller: { state: "silent", reason: "no worker" } }), 120, bare).join("\n");
    expect(text).toContain("controller none: no worker; the counts are the database's");
    expect(text).toContain("? desired; 1 spawning, 1 idle, 1 busy");
  });

  it("says of a pool that was never started only that", () => {
    const never = reading({
      pool: "nightly",
      intent: null,
      fleet: [],
      controller: { state: "not_running", reason: "x" },
    });
    const text = renderStatus(never, 120, bare).join("\n");
    expect(text).toMatch(/^pool nightly: never started$/m);
    expect(text).not.toContain("WORKER");
  });

  it("shows the last messages of the hour with what became of each", () => {
    const ago = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
    const messages = [
      { at: ago(3), kind: "ignored", reason: "scale: no number" },
      { at: ago(4), kind: "folded", reason: "too many at once: 7 pause" },
      { at: ago(5), kind: "scale", reason: "mode normal, held at 2" },
      { at: ago(6), kind: "repeated", reason: "drain: from before a reset" },
      { at: ago(61), kind: "drain", reason: "mode draining" },
    ];
    const lines = renderStatus(reading({ messages }), 120, bare).filter((line) => line.startsWith("message"));
    expect(lines).toEqual([
      "message    3m00s ago: ignored: scale: no number",
      "message    4m00s ago: folded: too many at once: 7 pause",
      "message    5m00s ago: scale taken: mode normal, held at 2",
      "message    6m00s ago: not taken again: drain: from before a reset",
    ]);
  });

  it("names the start command for a pool that was shut down, and says that it closes only while its workflow runs", () => {
    const closing = intent({ mode: "closing" });
    const controller = { state: "not_running", reason: "its workflow is completed" } as const;
    expect(renderStatus(reading({ intent: closing, controller }), 120, bare)[0]).toBe(
      "pool main: was shut down; start it again: gpu-pool pool start",
    );
    expect(renderStatus(reading({ intent: closing }), 120, bare)[0]).toBe(
      "pool main: closing: draining to zero, then its workflow ends",
    );
  });

  it("says what a pool waits for if its row is not written yet", () => {
    const waiting = reading({ intent: null, fleet: [], controller: { state: "silent", reason: "x" } });
    expect(renderStatus(waiting, 120, bare)[0]).toBe("pool main: starting; waits for a Temporal worker");
  });

  it("shows the open alerts with what to do, only if there are any", () => {
    const alert = {
      kind: "no_funds",
      subject: "account",
      pool: null,
      message: "HTTP 402",
      openedAt: "2026-01-01T11:55:00Z",
      closedAt: null,
      whatToDo: "Add funds.",
    };
    const lines = renderStatus(reading({ alerts: [alert] }), 120, bare);
    expect(lines.slice(10, 12)).toEqual([
      "ALERT     SUBJECT  SINCE  WHAT TO DO",
      "no_funds  account  5m00s  Add funds.",
    ]);
    expect(statusJson(reading({ alerts: [alert] }))).toMatchObject({ alerts: [alert] });
  });

  it("removes control characters from the database's texts", () => {
    const hostile = reading({ lastDecision: { atMs: NOW, reason: "a\x1b[2Jb\nc" } });
    expect(renderStatus(hostile, 120, bare)).toContain("decision   0s ago: ab c");
  });

  it("gives the same figures as JSON", () => {
    expect(statusJson(reading())).toMatchObject({
      pool: "main",
      observedAt: "2026-01-01T12:00:00.000Z",
      controller: { state: "answers", phase: "watching", observedAt: "2026-01-01T11:59:57Z", stale: false },
      desired: 3,
      rule: "threshold",
      schedule: null,
      suspended: null,
      breaker: { state: "closed", since: "2026-01-01T11:57:55.000Z" },
      account: { hourlyUsd: 4.14, todayUsd: 12.3, maxHourlySpendUsd: null, dailyBudgetUsd: null },
      workerCounts: { spawning: 1, idle: 1, busy: 1, terminating: 0, error: 0 },
      cost: { perHourUsd: 2.07, soFarUsd: 3.456 },
    });
  });
});
