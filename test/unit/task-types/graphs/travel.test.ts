import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { travelGraph } from "../../../../src/task-types/graphs/travel-graph.ts";
import { given, parent, problems } from "../../../kit/gpu-worker/graph-parents.ts";

const PICTURES = ["a.png", "b.png", "c.png"];
const TRAVEL = {
  num_new_segments_to_generate: 2,
  input_image_paths_resolved: PICTURES,
  segment_frames_expanded: [81, 50],
  frame_overlap_expanded: [10],
  base_prompts_expanded: ["first", "second"],
};

function graph(params: object) {
  return travelGraph(given("travel_orchestrator", params), parent(params));
}

describe("the graph of a travel", () => {
  it("has a segment after each other and a stitch after the last, with what each needs to know", () => {
    const params = { orchestrator_details: { ...TRAVEL, seed_base: 7, run_id: "run" }, num_inference_steps: 9 };
    const { plan, subTasks, resultTaskId } = graph(params);
    const [first, second, stitch] = subTasks;
    expect(plan).toMatchObject({ isChained: true, frames: 120 });
    expect(subTasks.map(({ taskType, dependantOn }) => [taskType, dependantOn])).toEqual([
      ["travel_segment", null],
      ["travel_segment", first!.id],
      ["travel_stitch", second!.id],
    ]);
    expect(second!.params).toMatchObject({
      orchestrator_run_id: "run",
      segment_index: 1,
      is_last_segment: true,
      base_prompt: "second",
      segment_frames_target: 49,
      frame_overlap_from_previous: 10,
      frame_overlap_with_next: 0,
      seed_to_use: 8,
      parsed_resolution_wh: "1280x720",
      num_inference_steps: 9,
      orchestrator_details: params.orchestrator_details,
    });
    expect(stitch!.params).toMatchObject({
      num_total_segments_generated: 2,
      segment_task_ids: [first!.id, second!.id],
      frame_overlap_settings_expanded: [10],
    });
    expect(resultTaskId).toBe(stitch!.id);
  });

  it.each([
    ["its segments are independent", { independent_segments: true }],
    ["it is not chained", { chain_segments: false }],
    ["its model follows no guide", { model_type: "i2v" }],
    ["its model has another family", { model_name: "i2v_14B" }],
  ])("waits for all segments at once where %s", (_why, more) => {
    const { subTasks } = graph({ ...TRAVEL, ...more });
    expect(subTasks.map(({ dependantOn, afterSiblings }) => [dependantOn, afterSiblings])).toEqual([
      [null, undefined],
      [null, undefined],
      [null, true],
    ]);
  });

  it("is chained by SVI, and knows VACE by the word and not by what is near it", () => {
    expect(graph({ ...TRAVEL, model_type: "i2v", use_svi: true }).plan.isChained).toBe(true);
    expect(graph({ ...TRAVEL, model_name: "wan_2_2_vace_lightning_baseline_2_2_2" }).plan.isChained).toBe(true);
    expect(graph({ ...TRAVEL, model_name: "lightning_baseline" }).plan.isChained).toBe(false);
  });

  it("gives tasks that resolve to what was planned, whichever way the travel was written", () => {
    const flat = fc.constantFrom(true, false);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 200 })),
        fc.infiniteStream(fc.integer({ min: 0, max: 60 })),
        flat,
        (count, lengths, overlaps, isFlat) => {
          const details = {
            num_new_segments_to_generate: count,
            input_image_paths_resolved: Array.from({ length: count + 1 }, (_, index) => `${index}.png`),
            segment_frames_expanded: [...lengths.take(count)],
            frame_overlap_expanded: [...overlaps.take(count - 1)],
            parsed_resolution_wh: "832x480",
          };
          const { plan, subTasks } = graph(isFlat ? details : { orchestrator_details: details });
          for (const segment of plan.segments) {
            const values = given("travel_segment", subTasks[segment.index]!.params);
            expect(values["video_length"]?.value).toBe(segment.frames);
            expect(values["frame_overlap_from_previous"]?.value).toBe(segment.overlapBefore);
            expect(values["frame_overlap_with_next"]?.value).toBe(segment.overlapAfter);
            expect(values["resolution"]?.value).toBe("832x480");
          }
          const stitch = given("travel_stitch", subTasks.at(-1)!.params);
          expect(stitch["frame_overlap_settings_expanded"]?.value).toEqual(plan.overlaps);
          const ids = subTasks.map(({ id }) => id);
          expect(new Set(ids).size).toBe(count + 1);
          expect(graph(isFlat ? details : { orchestrator_details: details }).subTasks).toEqual(subTasks);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("continues a video: the first overlap is with it, and no picture is needed for it", () => {
    const { plan, subTasks } = graph({
      ...TRAVEL,
      input_image_paths_resolved: ["b.png", "c.png"],
      continue_from_video_resolved_path: "before.mp4",
      frame_overlap_expanded: [8, 6],
    });
    expect(plan.overlaps).toEqual([8, 6]);
    expect(plan.frames).toBe(81 + 49 - 8 - 6);
    expect(subTasks.at(-1)!.params).toMatchObject({ initial_continued_video_path: "before.mp4" });
  });

  it("is refused with the field's name, before anything is submitted", () => {
    expect(
      problems("travel_orchestrator", { orchestrator_details: { ...TRAVEL, segment_frames_expanded: [81] } }),
    ).toEqual([
      "params.orchestrator_details.segment_frames_expanded: expected at least 2 lengths for 2 segments, got [81]",
    ]);
    expect(problems("travel_orchestrator", { ...TRAVEL, frame_overlap_expanded: [] })).toEqual([
      "params.frame_overlap_expanded: expected at least 1 overlaps for 2 segments, got []",
    ]);
    expect(problems("travel_orchestrator", { ...TRAVEL, input_image_paths_resolved: ["a.png"] })).toEqual([
      'params.input_image_paths_resolved: expected at least 2 pictures for 2 segments, got ["a.png"]',
    ]);
    expect(problems("travel_orchestrator", { ...TRAVEL, chain_segments: true, independent_segments: true })).toEqual([
      "params.independent_segments: expected false, the opposite of chain_segments, got true",
    ]);
  });
});
