import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLocalFileStore } from "../../../src/gpu-worker/queue/local-file-store.ts";
import { identityOf } from "../../../src/gpu-worker/queue/open-output.ts";
import { createLocalRequests } from "../../../src/gpu-worker/queue/local-requests.ts";
import { createSqliteQueue } from "../../../src/gpu-worker/queue/sqlite-queue.ts";
import { openLocalDatabase } from "../../../src/task-file/database.ts";
import { type LocalDatabase } from "../../../src/task-file/local-database.ts";
import { insertTasks } from "../../../src/task-file/insert.ts";
import { registerWorker } from "../../../src/task-file/workers.ts";

const NEVER = new AbortController().signal;

describe("the results of local mode", () => {
  let folder: string;
  let database: LocalDatabase;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gpu-pool-files-"));
    database = openLocalDatabase(join(folder, "tasks.db"));
    registerWorker(database, "w", Date.now());
  });
  afterEach(() => {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const queue = () => createSqliteQueue({ database, workerId: "w", types: null, stuckAfterSec: () => 300 });
  async function leaseOf(id: string, type: string, params: object) {
    insertTasks(database, [{ id, task_type: type, params }], Date.now());
    return (await queue().claim()).task!;
  }
  const make = (filename: string, text: string) => {
    const path = join(folder, filename);
    writeFileSync(path, text);
    return { path, filename, contentType: "video/mp4", sizeBytes: text.length, identity: identityOf(statSync(path)) };
  };
  const stored = () => readdirSync(join(folder, "public", "files")).toSorted();

  it("lie side by side, named after their attempt, or after their run and segment", async () => {
    const store = createLocalFileStore(database);
    const plain = await leaseOf("one", "wgp", {});
    const files = [make("task_one_a1.mp4", "video"), make("task_one_a1_thumb.jpg", "picture")];
    expect(await store.deliver(plain, files, NEVER)).toEqual([
      { storagePath: "files/task_one_a1.mp4", location: "files/task_one_a1.mp4" },
      { storagePath: "files/task_one_a1_thumb.jpg", location: "files/task_one_a1_thumb.jpg" },
    ]);
    await queue().fail(plain, "x", true);
    const segment = await leaseOf("two", "travel_segment", { orchestrator_run_id: "r/1 ü", segment_index: 3 });
    expect((await store.deliver(segment, [make("task_two_a1.mp4", "two")], NEVER))[0]?.location).toBe(
      "files/r_1___seg03_output.mp4",
    );
    await queue().fail(segment, "x", true);
    const stitch = await leaseOf("three", "travel_stitch", { run_id: "r1" });
    expect((await store.deliver(stitch, [make("task_three_a1.mp4", "all")], NEVER))[0]?.location).toBe(
      "files/r1_final.mp4",
    );
  });

  it("are the same after a repeated delivery, and never overwrite another file", async () => {
    const store = createLocalFileStore(database);
    const params = { orchestrator_run_id: "run", segment_index: 0 };
    const first = await leaseOf("one", "travel_segment", params);
    const file = make("task_one_a1.mp4", "first");
    const [once] = await store.deliver(first, [file], NEVER);
    expect(await store.deliver(first, [file], NEVER)).toEqual([once]);
    await queue().fail(first, "x", true);
    const again = await leaseOf("two", "travel_segment", params);
    const [other] = await store.deliver(again, [make("task_two_a1.mp4", "other")], NEVER);
    expect([once?.location, other?.location]).toEqual([
      "files/run_seg00_output.mp4",
      "files/run_seg00_output_task_two_a1.mp4",
    ]);
    expect(stored()).toHaveLength(2);
    expect(readFileSync(join(folder, "public", once!.location), "utf8")).toBe("first");
  });

  it("may come of a paid request, which is kept over attempts and forgotten on demand", async () => {
    const first = await leaseOf("one", "magic_edit", {});
    const requests = createLocalRequests(database, (_, work) =>
      Promise.resolve(database.write(() => work(Date.now()))),
    );
    expect(await requests.keepRequest(first, "replicate", { requestId: null, mark: "m" })).toBe(true);
    expect(await requests.keepRequest(first, "replicate", { requestId: "r1", mark: "m" })).toBe(true);
    await queue().fail(first, "no answer", false);
    expect(await requests.keepRequest(first, "replicate", null)).toBe(false);
    const second = (await queue().claim()).task!;
    const kept = { attempt: 1, requestId: "r1", mark: "m", askedAtMs: expect.any(Number) };
    expect(await requests.keptRequest(second, "replicate")).toMatchObject({ held: true, request: kept });
    expect(await requests.keptRequest(first, "replicate")).toMatchObject({ held: false, taskStatus: "In Progress" });
    expect(await requests.keepRequest(second, "replicate", null)).toBe(true);
    expect((await requests.keptRequest(second, "replicate")).request).toBeNull();
  });
});
