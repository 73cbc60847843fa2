import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planEdit } from "../../../../src/task-types/graphs/edit.ts";
import { type Clip, closesLoop, joinGraph, joinsOf, planJoins } from "../../../../src/task-types/graphs/join.ts";
import { perspectiveGraph } from "../../../../src/task-types/graphs/perspective.ts";
import { given, parent, problems } from "../../../kit/gpu-worker/graph-parents.ts";

const CLIPS = { clip_list: [{ url: "a.mp4" }, { url: "b.mp4" }, { url: "c.mp4" }] };

function clips(frames: readonly number[]): Clip[] {
  return frames.map((each, index) => ({
    file: `${"abc"[index]}.mp4`,
    frames: each,
    field: ["clip_list", `[${index}].url`],
  }));
}

function joins(params: object, frames: readonly number[]) {
  const values = given("join_clips_orchestrator", params);
  const plan = { clips: clips(frames), joins: joinsOf(values), closesLoop: closesLoop(values), size: "64x48", fps: 16 };
  return { lengths: planJoins(values, plan), graph: joinGraph(values, parent(params), plan) };
}

describe("the graph of clips that are joined", () => {
  it("is a chain: each join begins with what the one before made", () => {
    const settings = [{ prompt: "over the bridge" }, { gap_frame_count: 9 }];
    const { lengths, graph } = joins({ ...CLIPS, prompt: "x", per_join_settings: settings }, [40, 50, 60]);
    expect(lengths).toEqual([143, 212]);
    const [first, second] = graph.subTasks;
    expect(graph.subTasks.map(({ dependantOn }) => dependantOn)).toEqual([null, first!.id]);
    expect(first!.params).toMatchObject({
      starting_video_path: "a.mp4",
      ending_video_path: "b.mp4",
      prompt: "over the bridge",
      gap_frame_count: 53,
      is_first_join: true,
      resolution: "64x48",
    });
    expect(second!.params).toMatchObject({
      ending_video_path: "c.mp4",
      prompt: "x",
      gap_frame_count: 9,
      is_last_join: true,
    });
    expect(second!.params).not.toHaveProperty("starting_video_path");
    expect(graph.resultTaskId).toBe(second!.id);
  });

  it("closes a loop by a last join whose end is the beginning", () => {
    const { lengths, graph } = joins({ ...CLIPS, loop_first_clip: true, gap_frame_count: 5 }, [40, 50, 60]);
    expect(lengths).toEqual([95, 160, 165]);
    expect(graph.subTasks.at(-1)!.params).toMatchObject({ ending_video_path: "a.mp4", closes_loop: true });
    const replaced = joins({ ...CLIPS, loop_first_clip: true, gap_frame_count: 5, replace_mode: true }, [40, 50, 60]);
    expect(replaced.lengths).toEqual([90, 150, 150]);
  });

  it("names the clip that is too short, the gap that does not fit, and the setting that is wrong", () => {
    expect(joins({ ...CLIPS, replace_mode: true }, [40, 20, 60]).lengths).toEqual([
      {
        field: "params.clip_list[1].url",
        what: 'expected more than the 27 frames that the new ones replace, got "20 frames"',
      },
    ]);
    const settings = [{}, { gap_frame_count: 8, context_frame_count: 1 }];
    expect(joins({ ...CLIPS, gap_frame_count: 7, per_join_settings: settings }, [1, 1, 1]).lengths).toEqual([9, 18]);
    expect(
      problems("join_clips_orchestrator", { ...CLIPS, per_join_settings: [{ gap_frame_count: 0 }, null, {}] }),
    ).toEqual([
      expect.stringContaining("params.per_join_settings: expected at most 2 objects, one for each join"),
      "params.per_join_settings[0].gap_frame_count: expected an integer between 1 and 1000, got 0",
    ]);
  });
});

describe("the portions of an edit", () => {
  const edit = (portions: readonly object[], frames: number, more: object = {}) =>
    planEdit(
      given("edit_video_orchestrator", { source_video_url: "v.mp4", portions_to_regenerate: portions, ...more }),
      frames,
    );

  it("leave the rest as keepers, and get as many frames as they had", () => {
    const portions = [
      { start_frame: 30, end_frame: 39, prompt: "later" },
      { start_frame: 10, end_frame: 12 },
    ];
    expect(edit(portions, 100)).toMatchObject({
      keepers: [
        { start: 0, end: 10 },
        { start: 13, end: 30 },
        { start: 40, end: 100 },
      ],
      joins: [
        { gap: 3, replace: false, own: {} },
        { gap: 10, own: { prompt: "later" } },
      ],
    });
  });

  it("give as many joins as there are portions, also at the edges of the video and beside each other", () => {
    const portions = [
      { start_frame: 0, end_frame: 4 },
      { start_frame: 20, end_frame: 24, gap_frame_count: 9 },
      { start_frame: 25, end_frame: 29 },
    ];
    expect(edit(portions, 30)).toMatchObject({
      keepers: [null, { start: 5, end: 20 }, null, null],
      joins: [{ gap: 5 }, { gap: 9 }, { gap: 5 }],
    });
  });

  it("keep the video's length, wherever they are", () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 199 }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(cuts, (places) => {
        const sorted = places.toSorted((a, b) => a - b);
        const portions = sorted.flatMap((start, index) =>
          index % 2 === 0 && sorted[index + 1] !== undefined
            ? [{ start_frame: start, end_frame: sorted[index + 1]! - 1 }]
            : [],
        );
        const params = { source_video_url: "v.mp4", portions_to_regenerate: portions };
        const values = given("edit_video_orchestrator", params);
        const plan = planEdit(values, 200);
        if (!("keepers" in plan)) {
          throw new Error(JSON.stringify(plan));
        }
        const kept = plan.keepers.map((range): Clip => {
          const frames = range === null ? 0 : range.end - range.start;
          return { file: null, frames, field: ["portions_to_regenerate", ""] };
        });
        const lengths = planJoins(values, {
          clips: kept,
          joins: plan.joins,
          closesLoop: false,
          size: "64x48",
          fps: 16,
        });
        const [last] = lengths.slice(-1);
        // A seam between clips that are shorter than the grid's step may need another gap.
        expect(typeof last === "number" ? last : 200).toBe(200);
        expect(plan.joins).toHaveLength(portions.length);
      }),
    );
  });

  it("are refused where they overlap, are beyond the video, or leave nothing to begin with", () => {
    const overlapping = [
      { start_frame: 0, end_frame: 4 },
      { start_frame: 4, end_frame: 8, prompt: 7 },
    ];
    expect(problems("edit_video_orchestrator", { source_video_url: "v", portions_to_regenerate: overlapping })).toEqual(
      [
        "params.portions_to_regenerate[1].start_frame: expected more than 4, the last frame of another portion, got 4",
        "params.portions_to_regenerate[1].prompt: expected a text, got 7",
      ],
    );
    expect(edit([{ start_frame: 4, end_frame: 100 }], 100)).toEqual([
      {
        field: "params.portions_to_regenerate[0].end_frame",
        what: "expected at most 99, the last frame of the video, got 100",
      },
    ]);
    expect(edit([{ start_frame: 0, end_frame: 99 }], 100)).toMatchObject([
      { field: expect.stringContaining("end_frame") },
    ]);
    const touching = [
      { start_frame: 0, end_frame: 4 },
      { start_frame: 5, end_frame: 8 },
    ];
    expect(edit(touching, 100)).toMatchObject([{ field: "params.portions_to_regenerate[1].start_frame" }]);
  });
});

describe("the graph of another perspective", () => {
  it("is a chain of five steps, of which each knows the tasks whose results it needs", () => {
    const params = { prompt: "from above", input_image_path: "a.png", perspective_type: "depth", seed: 4 };
    const { subTasks, resultTaskId } = perspectiveGraph(
      given("different_perspective_orchestrator", params),
      parent(params),
      "64x48",
    );
    const ids = subTasks.map(({ id }) => id);
    expect(subTasks.map(({ taskType }) => taskType)).toEqual([
      "generate_depth",
      "wgp",
      "extract_frame",
      "generate_depth",
      "dp_final_gen",
    ]);
    expect(subTasks.map(({ dependantOn }) => dependantOn)).toEqual([null, ...ids.slice(0, -1)]);
    expect(subTasks[3]!.params).toMatchObject({ input_image_task_id: ids[2] });
    expect(resultTaskId).toBe(ids[4]);
    const last = given("dp_final_gen", subTasks[4]!.params);
    expect(last).toMatchObject({ prompt: { value: "from above" }, resolution: { value: "64x48" }, seed: { value: 4 } });
    for (const { taskType, params: values } of subTasks) {
      expect(problems(taskType, values)).toEqual([]);
    }
  });
});
