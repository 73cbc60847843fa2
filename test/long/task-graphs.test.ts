import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  expectWhole,
  type GraphBed,
  openGraphBed,
  seenAt,
  smallTravel,
  travelFrames,
} from "../kit/gpu-worker/graph-bed.ts";
import { type LiveWorker, startLiveWorker } from "../kit/gpu-worker/live-worker.ts";
import { type KillPoint, startMortalWorker } from "../kit/gpu-worker/mortal-worker.ts";

const GRAPHS = Number(process.env["GRAPHS"] ?? 100);
const WORKERS = 8;
const MINUTES = 60_000;

let bed: GraphBed;
let workers: LiveWorker[] = [];

beforeAll(async () => {
  bed = await openGraphBed();
});
afterAll(() => bed?.close());
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.crash()));
});

async function startWorkers(pool: string, count: number): Promise<void> {
  const { api, openInputs } = bed;
  const ids = await api.queue.newWorkers(pool, count);
  workers = await Promise.all(ids.map((worker) => startLiveWorker(api, { worker, openInputs })));
}

describe("graphs", () => {
  it(
    `complete, ${GRAPHS} at once on ${WORKERS} workers, without a deadlock and without a row too many`,
    async () => {
      const { queue } = bed.api;
      const pool = await queue.newPool();
      const project = await queue.newProject({ max_running: WORKERS - 2 });
      const parents: string[] = [];
      for (let index = 0; index < GRAPHS; index += 1) {
        const travel = smallTravel(bed.pictures, 2, { independent_segments: index % 2 === 0 });
        const columns = index % 3 === 0 ? { project_id: project } : {};
        const params = JSON.stringify(travel);
        parents.push(await queue.addTask(pool, { task_type: "travel_orchestrator", params, ...columns }));
      }
      await startWorkers(pool, WORKERS);
      const open = "select id from tasks where pool = $1 and status in ('Queued', 'In Progress')";
      await expect.poll(() => queue.rows(open, [pool]), { interval: 500, timeout: 15 * MINUTES }).toEqual([]);
      for (const parent of parents) {
        const kinds = [["travel_segment", 0] as const, ["travel_segment", 1] as const, ["travel_stitch", 0] as const];
        expectWhole(parent, await bed.subTasks(parent), kinds);
      }
      const frames = await queue.rows<{ frames: number }>(
        "select distinct (result_data ->> 'frames')::integer as frames from tasks where id = any ($1)",
        [parents],
      );
      expect(frames).toEqual([{ frames: travelFrames(2) }]);
      const [deadlocks] = await queue.rows("select deadlocks from pg_stat_database where datname = current_database()");
      expect(deadlocks).toEqual({ deadlocks: "0" });
    },
    20 * MINUTES,
  );

  it(
    "give the same video and no further row when their worker is killed in each of their phases",
    async () => {
      const { queue } = bed.api;
      const calm = await queue.newPool();
      await startWorkers(calm, 1);
      const travel = smallTravel(bed.pictures, 3);
      const expected = await bed.video(await bed.ended(await bed.submit(calm, "travel_orchestrator", travel)));
      const points: KillPoint[] = [
        { call: "claim_task", when: "after" },
        { call: "delegate_task", when: "before" },
        { call: "delegate_task", when: "after" },
        { call: "generate-upload-url", when: "after" },
        { call: "upload", when: "after" },
        { call: "finish_and_claim", when: "before" },
        { call: "finish_and_claim", when: "after" },
        { call: "api_predecessor_output", when: "before" },
        { call: "upload", when: "before" },
        { call: "finish_and_claim", when: "before" },
        { call: "api_predecessor_output", when: "after" },
        { call: "finish_and_claim", when: "after" },
        { call: "api_task_output", nth: 2, when: "before" },
        { call: "upload", nth: 2, when: "after" },
        { call: "finish_and_claim", when: "after" },
      ];
      const pool = await queue.newPool();
      const worker = await startMortalWorker(bed.api, await queue.newWorker(pool), points);
      try {
        const pictures = bed.pictures.map((url) => seenAt(worker.url, url));
        const parent = await bed.submit(pool, "travel_orchestrator", smallTravel(pictures, 3));
        const ended = await bed.ended(parent);
        expect(worker.kills).toEqual(points);
        expect(await bed.video(ended)).toEqual(expected);
        const kinds = [0, 1, 2].map((index) => ["travel_segment", index] as const);
        expectWhole(parent, await bed.subTasks(parent), [...kinds, ["travel_stitch", 0]]);
      } finally {
        await worker.close();
      }
    },
    10 * MINUTES,
  );

  it(
    "of an edit have the same result when their worker is killed before and after it stores what stays",
    async () => {
      const { queue } = bed.api;
      const portions = [{ start_frame: 3, end_frame: 4 }];
      const edit = { portions_to_regenerate: portions, context_frame_count: 2 };
      const points: KillPoint[] = [
        { call: "upload", when: "before" },
        { call: "upload", nth: 2, when: "after" },
        { call: "delegate_task", when: "before" },
        { call: "delegate_task", when: "after" },
        { call: "finish_and_claim", when: "before" },
      ];
      const pool = await queue.newPool();
      const worker = await startMortalWorker(bed.api, await queue.newWorker(pool), points);
      try {
        const source = { source_video_url: seenAt(worker.url, bed.clips[0]!) };
        const parent = await bed.submit(pool, "edit_video_orchestrator", { ...source, ...edit });
        const ended = await bed.ended(parent);
        expect(worker.kills).toEqual(points);
        expect((await bed.video(ended)).frames).toBe(9);
        expectWhole(parent, await bed.subTasks(parent), [["join_clips_segment", 0]]);
      } finally {
        await worker.close();
      }
    },
    10 * MINUTES,
  );
});
