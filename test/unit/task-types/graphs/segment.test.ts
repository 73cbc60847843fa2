import { describe, expect, it } from "vitest";
import { planSegment } from "../../../../src/task-types/graphs/segment.ts";
import { given, problems } from "../../../kit/gpu-worker/graph-parents.ts";

const RUN = { input_image_paths_resolved: ["a.png", "b.png", "c.png"], model_name: "vace_14B" };

function plan(params: object, type = "travel_segment") {
  return planSegment(given(type, params));
}

describe("a segment with a model that follows a guide", () => {
  it("begins and ends with its pictures when it is the first, and makes what is between", () => {
    expect(plan({ orchestrator_details: RUN, segment_index: 0, segment_frames_target: 17 })).toMatchObject({
      frames: 17,
      previous: null,
      start: { file: "a.png" },
      end: { file: "b.png" },
      kept: [
        { start: 0, end: 1 },
        { start: 16, end: 17 },
      ],
      videoPromptType: "VM",
      saturation: 1,
    });
  });

  it("begins with the last frames of the one before, which end with its first picture", () => {
    const params = {
      orchestrator_details: { ...RUN, after_first_post_generation_saturation: 0.9 },
      segment_index: 1,
      segment_frames_target: 17,
      frame_overlap_from_previous: 6,
    };
    expect(plan(params)).toMatchObject({
      previous: { from: "predecessor", frames: 6 },
      start: null,
      end: { file: "c.png" },
      kept: [
        { start: 0, end: 6 },
        { start: 16, end: 17 },
      ],
      saturation: 0.9,
    });
    expect(plan({ ...params, chain_segments: false })).toMatchObject({ previous: null, start: { file: "b.png" } });
  });

  it("uses a guide and a mask that the task names as they are", () => {
    const params = { orchestrator_details: RUN, video_guide: "guide.mp4", image_refs: ["ref.png"] };
    expect(plan(params)).toMatchObject({ guide: { file: "guide.mp4" }, kept: [], videoPromptType: "VI" });
    expect(plan({ ...params, video_mask: "mask.mp4" })).toMatchObject({ videoPromptType: "VMI" });
    expect(plan({ ...params, video_prompt_type: "PVM" })).toMatchObject({ videoPromptType: "PVM" });
  });

  it("gets the pictures to refer to of its own place, and those of every place", () => {
    const refs = ["all.png", { url: "first.png", segment_index: 0 }, { original_path: "second.png", segment_idx: 1 }];
    const details = { ...RUN, vace_image_refs_to_prepare_by_worker: refs };
    expect(plan({ orchestrator_details: details, segment_index: 1 }).refs.map(({ file }) => file)).toEqual([
      "all.png",
      "second.png",
    ]);
  });

  it("begins with the end of the video that the travel continues", () => {
    const details = { ...RUN, continue_from_video_resolved_path: "before.mp4" };
    expect(plan({ orchestrator_details: details, frame_overlap_from_previous: 4 })).toMatchObject({
      previous: { from: { file: "before.mp4" }, frames: 4 },
      end: { file: "a.png" },
    });
    expect(plan({ orchestrator_details: details, segment_index: 1 })).toMatchObject({
      start: { file: "a.png" },
      end: { file: "b.png" },
    });
  });
});

describe("a segment with another model", () => {
  it("gets its pictures as they are and follows no guide", () => {
    const params = { orchestrator_details: { ...RUN, model_name: "i2v_14B" }, segment_index: 1 };
    expect(plan({ ...params, frame_overlap_from_previous: 8 })).toMatchObject({
      usesVace: false,
      previous: null,
      start: { file: "b.png" },
      end: { file: "c.png" },
      kept: [],
      videoPromptType: "disabled",
    });
  });

  it("continues the one before where SVI chains them", () => {
    const details = { ...RUN, model_type: "i2v", use_svi: true };
    const params = { orchestrator_details: details, segment_index: 1, frame_overlap_from_previous: 8 };
    expect(plan(params)).toMatchObject({ previous: { from: "predecessor", frames: 8 }, kept: [] });
  });

  it("needs a first picture where its model type says so", () => {
    expect(problems("individual_travel_segment", { model_type: "i2v" })).toEqual([
      "params.image_start: expected the URL or path of a file: the segment begins with it, got nothing",
    ]);
  });
});

describe("a segment by itself", () => {
  it("takes its own values before those of the segment, and these before those of the run", () => {
    const params = {
      individual_segment_params: {
        input_image_paths_resolved: ["own-1.png", "own-2.png"],
        num_frames: 7,
        prompt: "own",
      },
      base_prompt: "of the segment",
      frames: 29,
      segment_index: 4,
      orchestrator_details: { ...RUN, segment_frames_expanded: [9, 9, 9, 9, 9], seed_base: 3 },
    };
    const values = given("individual_travel_segment", params);
    expect(values).toMatchObject({ prompt: { value: "own" }, seed: { value: 3 }, video_length: { value: 29 } });
    expect(planSegment(values)).toMatchObject({
      frames: 29,
      start: { file: "own-1.png" },
      end: { file: "own-2.png" },
    });
  });

  it("is refused where it shares more frames than it has", () => {
    expect(problems("individual_travel_segment", { frames: 9, frame_overlap_from_previous: 10 })).toEqual([
      "params.frame_overlap_from_previous: expected at most 9, the frames of the segment, got 10",
    ]);
  });
});
