import type { Samples } from "../../../../dev/samples/make-samples.ts";
import type { TaskType } from "../../../../task-types/task-type.ts";

const PROMPTS = [
  "a lighthouse in a storm at night",
  "a paper boat on a stream, seen from above",
  "two foxes in fresh snow",
  "an empty theatre, slowly lit",
  "rain on the window of a train",
] as const;

const SMALL = { resolution: "128x96", seed: 7 };
const VIDEO = { ...SMALL, video_length: 17, fps: 16 };

/** These are made by their orchestrator tasks, with results of others that they need. */
const MADE_BY: Readonly<Record<string, string>> = {
  travel_segment: "travel_orchestrator",
  travel_stitch: "travel_orchestrator",
  join_clips_segment: "join_clips_orchestrator",
  dp_final_gen: "different_perspective_orchestrator",
};
const COSTS_MONEY: Readonly<Record<string, string>> = { magic_edit: "it is paid for at Replicate" };

type Maker = (samples: Samples, prompt: string, runId: string) => object;

const ORDINARY: Readonly<Record<string, Maker>> = {
  i2v: ({ pictures }, prompt) => ({ prompt, ...VIDEO, image_start: pictures[0] }),
  i2v_22: ({ pictures }, prompt) => ({ prompt, ...VIDEO, image_start: pictures[0], image_end: pictures[1] }),
  vace: ({ clips }, prompt) => ({ prompt, ...VIDEO, video_guide: clips[0] }),
  vace_21: ({ clips }, prompt) => ({ prompt, ...VIDEO, video_guide: clips[0] }),
  vace_22: ({ clips, pictures }, prompt) => ({ prompt, ...VIDEO, video_guide: clips[0], image_refs: [pictures[2]] }),
  flux: (_, prompt) => ({ prompt, ...SMALL, num_images: 2 }),
  qwen_image_style: ({ pictures }, prompt) => ({ prompt, ...SMALL, style_reference_image: pictures[0] }),
  qwen_image_edit: ({ pictures }, prompt) => ({ prompt, ...SMALL, image: pictures[0] }),
  image_inpaint: ({ pictures, mask }, prompt) => ({ prompt, ...SMALL, image: pictures[0], mask_url: mask }),
  annotated_image_edit: ({ pictures, mask }, prompt) => ({ prompt, ...SMALL, image: pictures[0], mask_url: mask }),
  z_image_turbo_i2i: ({ pictures }, prompt) => ({ prompt, ...SMALL, image: pictures[0], denoising_strength: 0.6 }),
  magic_edit: ({ pictures }, prompt) => ({ prompt, image_url: pictures[0] }),
};

const GRAPHS: Readonly<Record<string, Maker>> = {
  travel_orchestrator: ({ pictures }, prompt, runId) => ({
    orchestrator_details: {
      run_id: runId,
      num_new_segments_to_generate: 2,
      base_prompts_expanded: [prompt, "the same, an hour later"],
      segment_frames_expanded: [17, 21],
      frame_overlap_expanded: [4],
      input_image_paths_resolved: pictures,
      parsed_resolution_wh: SMALL.resolution,
      fps_helpers: VIDEO.fps,
    },
  }),
  different_perspective_orchestrator: ({ pictures }, prompt) => ({
    prompt,
    ...SMALL,
    input_image_path: pictures[0],
    perspective_type: "depth",
    output_video_frames: 9,
  }),
  join_clips_orchestrator: ({ clips: [first, second] }, prompt, runId) => ({
    prompt,
    run_id: runId,
    clip_list: [
      { url: first, name: "first" },
      { url: second, name: "second" },
    ],
    context_frame_count: 4,
    gap_frame_count: 9,
    ...SMALL,
  }),
  edit_video_orchestrator: ({ clips }, prompt, runId) => ({
    prompt,
    run_id: runId,
    source_video_url: clips[0],
    portions_to_regenerate: [{ start_frame: 9, end_frame: 14 }],
    context_frame_count: 4,
    ...SMALL,
  }),
  individual_travel_segment: ({ pictures }, prompt) => ({
    prompt,
    ...VIDEO,
    input_image_paths_resolved: pictures.slice(0, 2),
  }),
  inpaint_frames: ({ clips }, prompt) => ({
    prompt,
    video_path: clips[0],
    inpaint_start_frame: 9,
    inpaint_end_frame: 14,
    context_frame_count: 4,
    ...SMALL,
  }),
};

const TOOLS: Readonly<Record<string, Maker>> = {
  upscaling: ({ clips }) => ({ video_url: clips[0], upscale_factor: 2, allow_approximate: true }),
  generate_openpose: ({ pictures }) => ({ input_image_path: pictures[0] }),
  generate_depth: ({ pictures }) => ({ input_image_path: pictures[0] }),
  rife_interpolate_images: ({ pictures }) => ({
    input_image_path1: pictures[0],
    input_image_path2: pictures[1],
    frames: 9,
    allow_approximate: true,
  }),
  extract_frame: ({ clips }) => ({ input_video_path: clips[0], frame_index: 3 }),
  create_visualization: ({ clips, pictures }) => ({
    output_video_path: clips[0],
    structure_video_path: clips[1],
    input_image_paths: pictures,
    segment_frames: [13, 13],
  }),
};

const MAKERS: Readonly<Record<string, Maker>> = { ...ORDINARY, ...GRAPHS, ...TOOLS };

/** Why no task of this type is made unless the type is named; null: one is. */
export function whyLeftOut(type: string): string | null {
  const maker = MADE_BY[type];
  return maker === undefined ? (COSTS_MONEY[type] ?? null) : `${maker} makes it`;
}

/** Why no task of this type can be made by itself; null: it can. */
export function whyImpossible(type: string): string | null {
  const maker = MADE_BY[type];
  return maker === undefined ? null : `it needs what other tasks have made: ${maker} makes it with them`;
}

/** @param index counts the tasks, so that their prompts differ */
export function testParams({ name, parameters }: TaskType, samples: Samples, index: number): Record<string, never> {
  const prompt = PROMPTS[index % PROMPTS.length] ?? PROMPTS[0];
  const makesVideo = parameters.some((each) => each.name === "video_length" && each.fixed === undefined);
  const maker: Maker = MAKERS[name] ?? (() => ({ prompt, ...(makesVideo ? VIDEO : SMALL) }));
  return maker(samples, prompt, `test_${String(index + 1).padStart(3, "0")}`) as Record<string, never>;
}
