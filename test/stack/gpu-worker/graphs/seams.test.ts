import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runFakeGraph } from "../../../kit/gpu-worker/fake-graph.ts";
import { temporaryFolder } from "../../../kit/gpu-worker/fake-task.ts";
import { makeSample } from "../../../kit/gpu-worker/samples.ts";
import { meanGreys } from "../../../kit/video/clips.ts";

const LENGTHS = [13, 9, 17, 9, 13];
const OVERLAPS = [4, 8, 6, 2];
const GREYS = [40, 70, 45, 90, 60, 95];

let folder: string;
let pictures: string[];

beforeAll(async () => {
  folder = await temporaryFolder();
  pictures = await Promise.all(
    GREYS.map((grey, at) => {
      const hex = grey.toString(16).padStart(2, "0");
      return makeSample(folder, `${at}.png`, { colour: `0x${hex}${hex}${hex}` });
    }),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the seams of a travel of five segments with overlaps of different sizes", () => {
  it.each([
    ["chained", {}],
    ["independent", { independent_segments: true }],
  ])("show no jump: %s", async (_how, more) => {
    const travel = {
      num_new_segments_to_generate: 5,
      input_image_paths_resolved: pictures,
      segment_frames_expanded: LENGTHS,
      frame_overlap_expanded: OVERLAPS,
      parsed_resolution_wh: "64x48",
      ...more,
    };
    const params = { orchestrator_details: travel };
    const { result } = await runFakeGraph(folder, { taskType: "travel_orchestrator", params });
    const greys = await meanGreys(result.main());
    expect(greys).toHaveLength(41);
    // A segment that leads from one picture to the next in as many frames as are its own changes no faster.
    const steepest = Math.max(
      ...LENGTHS.map((length, at) => {
        const own = length - (OVERLAPS[at - 1] ?? 0);
        return Math.abs(GREYS[at + 1]! - GREYS[at]!) / own;
      }),
    );
    const jumps = greys.slice(1).map((grey, at) => Math.abs(grey - greys[at]!));
    expect(Math.max(...jumps)).toBeLessThan(1.25 * steepest + 2);
    // It is the travel: each picture is seen, but for the mark of the preview.
    expect(Math.max(...greys) - Math.min(...greys)).toBeGreaterThan(35);
  });
});
