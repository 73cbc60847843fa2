import { describe, expect, it } from "vitest";
import { periodOf, renderCosts } from "../../../../src/client/commands/see/costs.ts";
import { resultLocations, safeName } from "../../../../src/client/commands/tasks/result/result-files.ts";
import { taskTimeline } from "../../../../src/client/commands/tasks/task-timeline.ts";
import { createStyle } from "../../../../src/client/render/output.ts";
import { renderTimeline } from "../../../../src/client/render/timeline.ts";
import { workerTimeline } from "../../../../src/client/worker-timeline.ts";
import type { Attempt, ListedTask, SubTask } from "../../../../src/supabase/task-store.ts";
import { seen } from "../../../kit/commands/seen-worker.ts";

const bare = createStyle(false);
const MIDNIGHT_MS = Date.parse("2026-11-22T00:00:00Z");
const NOW_MS = MIDNIGHT_MS + 2 * 3_600_000;

describe("costs", () => {
  it("are of today since midnight UTC, of one day, or since a time", () => {
    expect(periodOf({}, NOW_MS)).toEqual({ fromMs: MIDNIGHT_MS, toMs: null, inWords: "today since 00:00 UTC" });
    const yesterday = { fromMs: MIDNIGHT_MS - 86_400_000, toMs: MIDNIGHT_MS, inWords: "on 2026-11-21 (UTC)" };
    expect(periodOf({ day: "yesterday" }, NOW_MS)).toEqual(yesterday);
    expect(periodOf({ day: "2026-11-21" }, NOW_MS)).toEqual(yesterday);
    expect(periodOf({ since: 3_600 }, NOW_MS)).toMatchObject({
      fromMs: NOW_MS - 3_600_000,
      inWords: "in the last 1h00m",
    });
  });

  it("show an unknown price as such, and what a task and a minute of video cost", () => {
    const row = {
      of: "aaaaaaaa-1",
      about: "generate_video",
      usd: 0.3,
      idleUsd: 0.1,
      billedSec: 900,
      busySec: 600,
      workers: 1,
      unpriced: 0,
      finished: 2,
      videos: 1,
      videoSec: 30,
    };
    const unknown = { ...row, of: "bbbbbbbb-2", usd: null, idleUsd: null, unpriced: 1, finished: 0, videoSec: 0 };
    const [, first, second] = renderCosts("task", [row, unknown], 120, bare);
    expect(first).toBe("aaaaaaaa  0.3000  0.1000  15m00s  10m00s         2  0.1500       0.6000  generate_video");
    expect(second).toBe("bbbbbbbb       ?       -  15m00s  10m00s         0       -            -  generate_video");
    expect(renderCosts("task", [{ ...row, unpriced: 1 }], 40, bare)[1]).toMatch(/^aaaaaaaa {2}≥0\.3000 /);
  });
});

describe("a timeline", () => {
  const at = (sec: number) => new Date(NOW_MS + sec * 1_000).toISOString();
  const task = {
    id: "0b9c4a52-8a52-4a3c-9f3e-0a1b2c3d4e5f",
    task_type: "t2v",
    status: "Complete",
    gate: "open",
    pool: "main",
    priority: 2,
    attempts: 2,
    created_at: at(0),
    updated_at: at(300),
    generation_processed_at: at(300),
    dependant_on: null,
    error_message: null,
    output_location: "https://files/x.mp4",
  } as unknown as ListedTask;
  const attempt = (n: number, from: number, to: number | null, change: Partial<Attempt> = {}): Attempt => ({
    attempt: n,
    worker_id: `main-${n}`,
    started_at: at(from),
    claimable_at: null,
    ended_at: to === null ? null : at(to),
    cause: to === null ? null : "completed",
    error: null,
    progress: null,
    progress_message: null,
    progress_at: null,
    ...change,
  });
  const nothing = { events: [], logs: [], subTasks: [] };

  it("of a task has its admission, each attempt with its worker, its retry and its end", () => {
    const failed = {
      cause: "task_error",
      error: "no model",
      progress: 0.5,
      progress_message: "denoising",
      progress_at: at(50),
    };
    const attempts = [attempt(1, 30, 60, { ...failed, claimable_at: at(20) }), attempt(2, 90, 300)];
    const lines = taskTimeline({ task, attempts, ...nothing }).map(({ kind, text }) => `${kind}: ${text}`);
    expect(lines).toEqual([
      "created: t2v, pool main, priority 2",
      "admitted: may be claimed",
      "attempt: 1 on worker main-1, after a wait of 10s",
      "progress: 50 %: denoising",
      "task_error: attempt 1 ended after 30s: no model",
      "attempt: 2 on worker main-2, after a wait of 30s",
      "completed: attempt 2 ended after 3m30s",
      "complete: 5m00s after it was created, 2 attempts counted: https://files/x.mp4",
    ]);
  });

  it("of a task that waits says what for, and of an orchestrator task has its sub-tasks", () => {
    const queued = { ...task, status: "Queued", gate: "held" };
    expect(taskTimeline({ task: queued, attempts: [], ...nothing }).at(-1)).toMatchObject({
      kind: "queued",
      text: "waits for its project's limit or pause",
    });
    const child = { id: "1b9c4a52-1", task_type: "travel_segment", status: "Failed", created_at: at(5) };
    const subTasks = [{ ...child, generation_processed_at: at(9) }] as SubTask[];
    const running = { ...task, status: "In Progress" };
    expect(taskTimeline({ task: running, attempts: [], ...nothing, subTasks }).slice(1)).toMatchObject([
      { at: at(5), text: "1b9c4a52 (travel_segment) created" },
      { at: at(9), text: "1b9c4a52 (travel_segment) ended: Failed" },
    ]);
  });

  it("of a worker has its boot, its tasks, when nothing was heard of it, and its end", () => {
    const worker = seen({
      created_at: at(-100),
      pod_created_at: at(-90),
      ready_at: at(0),
      last_heartbeat: at(200),
      failed_at: at(400),
      failed_on: "heartbeat",
      status_reason: "silent for 200 s",
      deleted_at: at(405),
      gone_at: at(410),
      cost_usd: 0.08,
    });
    const held = {
      task_id: task.id,
      attempt: 1,
      worker_id: worker.id,
      started_at: at(5),
      ended_at: at(30),
      cause: "stuck",
    };
    const tasks = [{ ...held, error: null, tasks: { task_type: "t2v", project_id: null } }];
    const entries = workerTimeline({ worker, tasks, events: [], logs: [] }, NOW_MS + 500_000);
    expect(entries.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      "booked: by the pool: RTX 4090",
      "pod: pod1 bills from here",
      "ready: its first heartbeat, 1m40s after it was booked",
      "task: 0b9c4a52 (t2v), attempt 1",
      "stuck: 0b9c4a52 (t2v) after 25s",
      "silence: nothing was recorded for 2m50s",
      "heartbeat: the last one",
      "silence: nothing was recorded for 3m20s",
      "failed: silent for 200 s (heartbeat)",
      "deleted: its pod bills no more",
      "gone: it cost $0.0800",
    ]);
    const [first] = renderTimeline(entries, bare);
    expect(first).toMatch(/^11-22 01:58:20 {6}\+0s booked {10}by the pool/);
  });
});

describe("the name of a downloaded file", () => {
  const name = (location: string, taken = new Set<string>()) => safeName(location, "0b9c4a52-8a52", taken);

  it.each([
    ["https://x/storage/v1/object/public/videos/0b9c/cat%20walk-1.mp4?t=1", "0b9c4a52-cat walk-1.mp4"],
    ["https://x/a/..%2F..%2Fetc%2Fpasswd", "0b9c4a52-_.._etc_passwd"],
    ["https://x/a/%1b[31mred.mp4", "0b9c4a52-__31mred.mp4"],
    ["https://x/a/.bashrc", "0b9c4a52-bashrc"],
    ["https://x/a/CON.mp4", "0b9c4a52-result-CON.mp4"],
    ["https://x/a/", "0b9c4a52-result-"],
    ["https://x/a/%zz.mp4", "0b9c4a52-_zz.mp4"],
    ["files/0b9c/猫.mp4", "0b9c4a52-猫.mp4"],
  ])("of %s is %s", (location, expected) => {
    expect(name(location)).toBe(expected);
  });

  it("is unlike that of another file of the task, in any case of letters", () => {
    const taken = new Set<string>();
    const names = ["https://x/a/f.png", "https://x/b/F.png", "https://x/c/f.png"].map((each) => name(each, taken));
    expect(names).toEqual(["0b9c4a52-f.png", "0b9c4a52-F-2.png", "0b9c4a52-f-3.png"]);
  });

  it("belongs to each file of the result once, the main one first", () => {
    const result_data = { video_url: "b", image_urls: ["c", "c", 7, null], other_urls: ["d"], thumbnail_url: "t" };
    expect(resultLocations({ output_location: "b", result_data })).toEqual(["b", "c", "d"]);
    expect(resultLocations({ output_location: null, result_data: [1] })).toEqual([]);
  });
});
