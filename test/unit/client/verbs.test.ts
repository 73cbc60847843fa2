import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { agrees } from "../../../src/client/ask.ts";
import { describePlan, type StartPlan, workersAtOnce } from "../../../src/client/commands/pool/start-plan.ts";
import { presentSize } from "../../../src/client/commands/pool/spawn.ts";
import { renderTasks } from "../../../src/client/commands/tasks/list-tasks.ts";
import { idleWarning } from "../../../src/client/commands/tasks/submit.ts";
import { whyNot } from "../../../src/client/commands/tasks/change-task.ts";
import { mergedLines } from "../../../src/client/commands/workers/pod-lines.ts";
import { renderWorkers } from "../../../src/client/commands/workers/list-workers.ts";
import { openConnections } from "../../../src/client/connections.ts";
import { ClientError, EXIT } from "../../../src/client/errors.ts";
import { theOne } from "../../../src/client/find-by-prefix.ts";
import { describePools } from "../../../src/client/missing-pool.ts";
import { createOutput, createStyle } from "../../../src/client/render/output.ts";
import type { Snapshot } from "../../../src/contract/plan.ts";
import type { ListedWorker } from "../../../src/supabase/reports/worker-list.ts";
import type { ListedTask } from "../../../src/supabase/task-store.ts";
import { seen } from "../../kit/commands/seen-worker.ts";

const bare = createStyle(false);
const NOW_MS = Date.parse("2026-11-22T02:00:00Z");

function thrown(act: () => unknown): ClientError {
  try {
    act();
  } catch (error) {
    if (error instanceof ClientError) {
      return error;
    }
  }
  throw new Error("expected a ClientError");
}

describe("an id", () => {
  const rows = [{ id: "0b9c-1" }, { id: "0b9c-12" }, { id: "0b9d" }];
  const find = (given: string, found = rows.filter(({ id }) => id.startsWith(given))) =>
    theOne("task", given, "gpu-pool tasks lists them.", found, () => "Failed");

  it("is named by any unique beginning, and by itself where another begins with it", () => {
    expect(find("0b9d").id).toBe("0b9d");
    expect(find("0b9c-1").id).toBe("0b9c-1");
  });

  it("that is ambiguous lists the candidates; one that nothing has is not found", () => {
    expect(thrown(() => find("0b9c"))).toMatchObject({
      exitCode: EXIT.usage,
      message: "more than one task has an id that begins with 0b9c:\n  0b9c-1  Failed\n  0b9c-12  Failed",
    });
    expect(thrown(() => find("ff"))).toMatchObject({ exitCode: EXIT.notFound, advice: "gpu-pool tasks lists them." });
  });
});

describe("a pool that does not exist", () => {
  it("is answered with those that do, without advice to start anything", () => {
    expect(describePools([])).toBe("There is no pool yet: see gpu-pool pool start --help");
    expect(describePools(["main"])).toBe("The only pool is main.");
    expect(describePools(["main", "nightly"])).toBe("The pools are main, nightly.");
    const many = Array.from({ length: 12 }, (_, index) => `pool-${index}`);
    expect(describePools(many)).toMatch(/pool-9 and 2 more \(gpu-pool pool list\)\.$/);
  });

  it("is a warning where tasks wait for it, and so is one that nothing observes", () => {
    expect(idleWarning("mian", ["main"], null, NOW_MS)).toBe(
      "these tasks wait for pool mian, which has never run. The only pool is main.",
    );
    expect(idleWarning("main", ["main"], "2026-11-22T01:58:00Z", NOW_MS)).toBeNull();
    expect(idleWarning("main", ["main"], null, NOW_MS)).toBeNull();
    expect(idleWarning("main", ["main"], "2026-11-22T01:00:00Z", NOW_MS)).toContain("nothing has observed for 1h00m");
  });
});

describe("a start", () => {
  const plan: StartPlan = {
    settings: {
      minActiveGpus: 2,
      maxActiveGpus: 10,
      gpuTypes: ["NVIDIA GeForce RTX 4090"],
      clouds: ["SECURE"],
      maxHourlySpendUsd: undefined,
      dailyBudgetUsd: 50,
    },
    intent: null,
    living: 0,
    queued: 0,
    usdPerHour: 0.69,
  };

  it("says what it rents, on which GPU, at what price and under which caps", () => {
    expect(describePlan("main", plan)).toEqual([
      "pool main rents 2 workers at once (MIN 2), and at most 10 (MAX) for its queue of 0",
      "  on NVIDIA GeForce RTX 4090 (SECURE), from $0.69 an hour each; budget: $50 a day, over all pools",
    ]);
    expect(describePlan("main", { ...plan, usdPerHour: null })[1]).toContain("at a price that is not known");
  });

  it("counts the workers that it has, its hold and its pause", () => {
    expect(workersAtOnce({ ...plan, living: 1 })).toBe(1);
    expect(workersAtOnce({ ...plan, intent: { mode: "normal", hold: 20 } })).toBe(10);
    expect(workersAtOnce({ ...plan, intent: { mode: "paused", hold: 3 } })).toBe(0);
    expect(workersAtOnce({ ...plan, intent: { mode: "closing", hold: null } })).toBe(2);
  });

  it.each([
    ["y\n", true],
    ["Yes\n", true],
    ["\n", false],
    ["no\n", false],
    ["", false],
  ])("with the answer %j begins: %s", async (typed, begins) => {
    const written: string[] = [];
    const stream = { isTTY: true, write: (text: string) => void written.push(text) };
    const output = createOutput({ stdout: stream, stderr: stream }, {});
    const stdin = Readable.from(typed === "" ? [] : [typed]);
    const context = { env: {}, output, connections: openConnections({}), stdin, failed: () => undefined };
    expect(await agrees(context, "Start it?")).toBe(begins);
    expect(written).toEqual(["Start it? [y/N] "]);
  });
});

describe("spawn", () => {
  it("counts from what the pool has, wants or holds, whichever is most", () => {
    const fleet = ["spawning", "active", "active", "terminating"].map((status) => ({ status }));
    const size = (desired: number, hold: number | null, seenVersion = 4) =>
      presentSize(
        { fleet, intent: { hold, version: 4 } } as unknown as Parameters<typeof presentSize>[0],
        { desired, intent: { version: seenVersion } } as Snapshot,
      );
    expect(size(2, null)).toBe(3);
    expect(size(5, null)).toBe(5);
    expect(size(5, 7)).toBe(7);
    expect(size(9, null, 3)).toBe(3);
  });
});

describe("lists", () => {
  it("show tasks with what they wait for or how they ended, in at most 80 columns", () => {
    const task = {
      id: "0b9c4a52-8a52-4a3c-9f3e-0a1b2c3d4e5f",
      task_type: "generate_video",
      status: "Queued",
      gate: "blocked",
      pool: "main",
      worker_id: null,
      attempts: 0,
      created_at: "2026-11-22T01:00:00Z",
      generation_started_at: null,
      generation_processed_at: null,
      error_message: null,
      output_location: null,
    } as unknown as ListedTask;
    const failed = { ...task, status: "Failed", error_message: "no\nmodel ".repeat(30) };
    const lines = renderTasks([task, failed], NOW_MS, 80, bare);
    expect(lines[1]).toMatch(/^0b9c4a52 {2}Queued \(blocked\) .* 1h00m/);
    expect(lines[2]).toContain("no model no");
    expect(lines.every((line) => line.length <= 80)).toBe(true);
  });

  it("show workers with their task, their last heartbeat and their price", () => {
    const listed = (held: ListedWorker["held"]): ListedWorker => ({ ...seen({}), phase: "busy", held });
    const task = { task_id: "0b9c4a52-8a52", progress: 0.5, started_at: "", model: "wan-14b" };
    const [, line] = renderWorkers([listed([{ ...task, tasks: { task_type: "generate_video" } }])], NOW_MS, 160, bare);
    expect(line).toMatch(
      /^main-0a1b2c3d {2}busy .*0b9c4a52 generate_video 50% {2}wan-14b {2,}1h00m +4s {2}3\.0\/24\.0 GiB {2}0\.60 {2}RTX 4090 {2}pod1$/,
    );
    const booting = { ...listed([]), phase: "spawning" as const, boot_stage: "pulling" };
    expect(renderWorkers([booting], NOW_MS, 160, bare)[1]).toMatch(/^main-0a1b2c3d {2}spawning: pulling /);
  });
});

describe("a worker's log", () => {
  const at = (sec: number) => `2026-11-22T02:00:0${sec}.000Z`;
  const row = (sec: number, message: string) => ({
    timestamp: at(sec).replace("Z", "+00:00"),
    source_type: "worker",
    source_id: "main-1",
    log_level: "INFO",
    message,
    task_id: null,
    worker_id: "main-1",
    metadata: {},
  });
  const line = (sec: number, text: string, source: "container" | "system" = "container") => ({
    id: null,
    source,
    at: at(sec),
    text,
  });

  it("has its pod's lines and the database's in one order of time, and none twice", () => {
    const own = JSON.stringify({ time: Date.parse(at(3)), level: 30, msg: "task begun", task: "t" });
    const lines = [line(1, "pulling image", "system"), line(2, "CUDA error"), line(3, own)];
    const merged = mergedLines([row(3, "task begun"), row(4, "task ended")], lines, "pod1");
    expect(merged.map(({ log_level: level, message }) => [level, message])).toEqual([
      ["HOST", "pulling image"],
      ["POD", "CUDA error"],
      ["INFO", "task begun"],
      ["INFO", "task ended"],
    ]);
    expect(mergedLines([], [line(3, own)], "pod1")).toMatchObject([
      { log_level: "INFO", message: "task begun", metadata: { task: "t" }, source_id: "pod pod1" },
    ]);
  });
});

it("a refused retry says which task to retry instead", () => {
  const refused = { status: "Failed", reopened: 0 };
  expect(whyNot("a", { ...refused, outcome: "caused", because: "b" }).advice).toContain("gpu-pool task retry b");
  expect(whyNot("a", { ...refused, outcome: "unknown", because: null })).toMatchObject({ exitCode: EXIT.notFound });
});
