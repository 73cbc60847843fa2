import { createHash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect } from "vitest";
import { createInputs } from "../../../src/gpu-worker/inputs/inputs.ts";
import { subTaskId } from "../../../src/gpu-worker/tasks/graphs/sub-task-id.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { PATIENCE_MS } from "../patience.ts";
import { openQueueApi, type QueueApi } from "../queue-api.ts";
import { temporaryFolder } from "./fake-task.ts";
import { makeSample } from "./samples.ts";

export interface GraphRow {
  readonly id: string;
  readonly task_type: string;
  readonly status: string;
  readonly worker_id: string | null;
  readonly attempts: number;
  readonly error_message: string | null;
  readonly output_location: string | null;
}

/** A database with storage, and small files in it that graphs begin with. */
export interface GraphBed {
  readonly api: QueueApi;
  /** Pictures and clips, by addresses that workers fetch. */
  readonly pictures: readonly string[];
  readonly clips: readonly string[];
  /** Submits a task. @returns its id */
  submit(pool: string, taskType: string, params: object): Promise<string>;
  row(id: string): Promise<GraphRow>;
  subTasks(id: string): Promise<GraphRow[]>;
  /** Waits until the task has ended, and returns it. */
  ended(id: string): Promise<GraphRow>;
  /** The video of a complete task. */
  video(row: GraphRow): Promise<{ readonly frames: number; readonly sha256: string }>;
  /** Inputs for a worker in the test's process: files of this storage. */
  readonly openInputs: ReturnType<typeof createInputs>;
  close(): Promise<void>;
}

export async function openGraphBed(): Promise<GraphBed> {
  const api = await openQueueApi();
  const folder = await temporaryFolder();
  const ffmpegPath = await findFfmpeg(null);
  const { queue } = api;
  const bucket = api.client(api.keys.serviceRoleKey).storage.from("videos");
  const upload = async (path: string) => {
    const name = `given/${basename(path)}`;
    const { error } = await bucket.upload(name, await readFile(path));
    expect(error).toBeNull();
    return bucket.getPublicUrl(name).data.publicUrl;
  };
  const colours = ["red", "green", "blue", "yellow", "white"];
  const pictures: string[] = [];
  for (const colour of colours) {
    pictures.push(await upload(await makeSample(folder, `${colour}.png`, { colour })));
  }
  const clips: string[] = [];
  for (const [index, frames] of [9, 7].entries()) {
    clips.push(await upload(await makeSample(folder, `clip${index}.mp4`, { frames, colour: colours[index]! })));
  }
  const row = (id: string) => queue.one<GraphRow>("select * from tasks where id = $1", [id]);
  return {
    api,
    pictures,
    clips,
    submit: (pool, taskType, params) => queue.addTask(pool, { task_type: taskType, params: JSON.stringify(params) }),
    row,
    subTasks: (id) => queue.rows<GraphRow>("select * from tasks where parent_id = $1 order by vtime, id", [id]),
    async ended(id) {
      const isOver = async () => ["Complete", "Failed", "Cancelled"].includes((await row(id)).status);
      await expect.poll(isOver, { interval: 50, timeout: 3 * PATIENCE_MS }).toBe(true);
      return await row(id);
    },
    async video({ output_location: url, error_message: error }) {
      expect(error).toBeNull();
      const answer = await fetch(seenAt(api.url, url!));
      expect(answer.status).toBe(200);
      const bytes = Buffer.from(await answer.arrayBuffer());
      const path = join(folder, basename(url!));
      await writeFile(path, bytes);
      const { frames } = await probeVideo(path, ffmpegPath);
      return { frames, sha256: createHash("sha256").update(bytes).digest("hex") };
    },
    openInputs: createInputs({ maxBytes: 10e6, timeoutMs: 60_000, folders: [], ownOrigin: api.url }),
    async close() {
      await api.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A file's address as a worker reaches it that knows the project by another address. */
export function seenAt(origin: string, url: string): string {
  return new URL(new URL(url).pathname, origin).href;
}

/** A travel of small segments. */
export function smallTravel(pictures: readonly string[], segments: number, more: object = {}): object {
  return {
    orchestrator_details: {
      num_new_segments_to_generate: segments,
      input_image_paths_resolved: pictures.slice(0, segments + 1),
      segment_frames_expanded: Array.from({ length: segments }, (_, index) => (index % 2 === 0 ? 9 : 5)),
      frame_overlap_expanded: Array.from({ length: segments - 1 }, (_, index) => (index % 2 === 0 ? 4 : 2)),
      parsed_resolution_wh: "32x32",
      ...more,
    },
  };
}

/** Frames of a `smallTravel`. */
export function travelFrames(segments: number): number {
  const places = Array.from({ length: segments }, (_, index) => index);
  const lengths = places.reduce((sum, index) => sum + (index % 2 === 0 ? 9 : 5), 0);
  return lengths - places.slice(1).reduce((sum, index) => sum + (index % 2 === 1 ? 4 : 2), 0);
}

/** That a graph's rows are those that its plan names, once each, all complete. */
export function expectWhole(parent: string, rows: readonly GraphRow[], kinds: readonly (readonly [string, number])[]) {
  const ids = kinds.map(([kind, index]) => subTaskId(parent, kind, index));
  expect(rows.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect(rows.map(({ status }) => status)).toEqual(rows.map(() => "Complete"));
}
