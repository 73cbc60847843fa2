import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import type { Engine } from "../../../src/gpu-worker/engines/engine.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import {
  expectWhole,
  type GraphBed,
  openGraphBed,
  seenAt,
  smallTravel,
  travelFrames,
} from "../../kit/gpu-worker/graph-bed.ts";
import { type LiveWorker, startLiveWorker } from "../../kit/gpu-worker/live-worker.ts";
import { type KillPoint, startMortalWorker } from "../../kit/gpu-worker/mortal-worker.ts";

let bed: GraphBed;
let workers: LiveWorker[] = [];

beforeAll(async () => {
  bed = await openGraphBed();
});
afterAll(() => bed?.close());
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.crash()));
});

async function startWorkers(pool: string, count: number, engine?: Engine): Promise<string[]> {
  const { api, openInputs } = bed;
  const ids = await api.queue.newWorkers(pool, count);
  workers = await Promise.all(
    ids.map((worker) => startLiveWorker(api, { worker, openInputs, ...(engine && { engine }) })),
  );
  return ids;
}

/** Previews that begin only when so many segments are being made at the same time. */
async function together(count: number): Promise<Engine> {
  const previews = createPreviewEngine(await findFfmpeg(null));
  let waiting = 0;
  let open = () => {};
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    ...previews,
    async generate(request) {
      waiting += 1;
      if (waiting === count) {
        open();
      }
      await all;
      return await previews.generate(request);
    },
  };
}

describe("a graph on a real stack", () => {
  it("is spread over four workers, and stitched by one when the last segment is there", async () => {
    const pool = await bed.api.queue.newPool();
    const ids = await startWorkers(pool, 4, await together(4));
    const travel = smallTravel(bed.pictures, 4, { independent_segments: true });
    const parent = await bed.submit(pool, "travel_orchestrator", travel);
    const ended = await bed.ended(parent);
    expect((await bed.video(ended)).frames).toBe(travelFrames(4));
    const rows = await bed.subTasks(parent);
    const kinds = [0, 1, 2, 3].map((index) => ["travel_segment", index] as const);
    expectWhole(parent, rows, [...kinds, ["travel_stitch", 0]]);
    const segments = rows.filter(({ task_type: type }) => type === "travel_segment");
    expect(new Set(segments.map(({ worker_id: id }) => id))).toEqual(new Set(ids));
    expect(ended.output_location).toBe(rows.find(({ task_type: type }) => type === "travel_stitch")!.output_location);
  });

  it("of each other kind is written and done by workers with nothing but their tokens", async () => {
    const pool = await bed.api.queue.newPool();
    await startWorkers(pool, 2);
    const [first, second] = bed.clips;
    const size = { resolution: "32x32", context_frame_count: 2 };
    const join = { clip_list: [{ url: first }, { url: second }], gap_frame_count: 3, ...size };
    const portions = [{ start_frame: 4, end_frame: 4 }];
    const edit = { source_video_url: first, portions_to_regenerate: portions, context_frame_count: 2 };
    const view = {
      prompt: "from above",
      input_image_path: bed.pictures[0],
      output_video_frames: 5,
      resolution: "32x32",
    };
    const graphs = await Promise.all([
      bed.submit(pool, "join_clips_orchestrator", join),
      bed.submit(pool, "edit_video_orchestrator", edit),
      bed.submit(pool, "different_perspective_orchestrator", view),
    ]);
    const frames: number[] = [];
    for (const id of graphs) {
      const ended = await bed.ended(id);
      frames.push((await bed.video(ended)).frames);
    }
    expect(frames).toEqual([9 + 3 + 7, 9, 1]);
    const [, edited, perspective] = await Promise.all(graphs.map((id) => bed.subTasks(id)));
    expect(edited!.map(({ task_type: type }) => type)).toEqual(["join_clips_segment"]);
    expect(perspective!.map(({ task_type: type }) => type)).toEqual([
      "generate_openpose",
      "wgp",
      "extract_frame",
      "generate_openpose",
      "dp_final_gen",
    ]);
    expect((await bed.row(graphs[2])).output_location).toMatch(/\.png$/);
  });

  it("gives the same video and no further row when its worker is killed in its phases", async () => {
    const { queue } = bed.api;
    const kinds = [["travel_segment", 0] as const, ["travel_segment", 1] as const, ["travel_stitch", 0] as const];
    const calm = await queue.newPool();
    await startWorkers(calm, 1);
    const travel = smallTravel(bed.pictures, 2);
    const expected = await bed.video(await bed.ended(await bed.submit(calm, "travel_orchestrator", travel)));

    const pool = await queue.newPool();
    const points: KillPoint[] = [
      { call: "delegate_task", when: "after" },
      { call: "finish_and_claim", when: "before" },
      { call: "api_task_output", nth: 2, when: "before" },
    ];
    const worker = await startMortalWorker(bed.api, await queue.newWorker(pool), points);
    try {
      const pictures = bed.pictures.map((url) => seenAt(worker.url, url));
      const parent = await bed.submit(pool, "travel_orchestrator", smallTravel(pictures, 2));
      const ended = await bed.ended(parent);
      expect(worker.kills).toEqual(points);
      expect(await bed.video(ended)).toEqual(expected);
      expectWhole(parent, await bed.subTasks(parent), kinds);
    } finally {
      await worker.close();
    }
  });

  it("that is cancelled ends what its workers do for it, and they go on with other tasks", async () => {
    const pool = await bed.api.queue.newPool();
    await startWorkers(pool, 2, await together(3));
    const travel = smallTravel(bed.pictures, 3, { independent_segments: true });
    const parent = await bed.submit(pool, "travel_orchestrator", travel);
    const running = "select 1 from tasks where parent_id = $1 and status = 'In Progress'";
    await expect.poll(() => bed.api.queue.rows(running, [parent]), { interval: 50 }).toHaveLength(2);
    await bed.api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [parent]);
    const rows = await bed.subTasks(parent);
    expect(rows.map(({ status }) => status)).toEqual(rows.map(() => "Cancelled"));
    expect(rows).toHaveLength(4);
  });
});
