import { lazily, type TypeHandlers } from "./handler.ts";

const travelSegment = lazily(() => import("./graphs/travel-segment.ts"), "travelSegment");
const joinClipsSegment = lazily(() => import("./graphs/join-clips-segment.ts"), "joinClipsSegment");
const inpaintFrames = lazily(() => import("./graphs/inpaint-frames.ts"), "inpaintFrames");
const travelStitch = lazily(() => import("./graphs/travel-stitch.ts"), "travelStitch");
const perspectiveFinal = lazily(() => import("./graphs/perspective-final.ts"), "perspectiveFinal");

function orchestrators() {
  return import("./graphs/orchestrators.ts");
}

export const GRAPH_HANDLERS: TypeHandlers = {
  travel_orchestrator: { handle: lazily(orchestrators, "travelOrchestrator"), jobs: [] },
  different_perspective_orchestrator: { handle: lazily(orchestrators, "perspectiveOrchestrator"), jobs: [] },
  join_clips_orchestrator: { handle: lazily(orchestrators, "joinClipsOrchestrator"), jobs: [] },
  edit_video_orchestrator: { handle: lazily(orchestrators, "editVideoOrchestrator"), jobs: [] },
  travel_segment: { handle: travelSegment, jobs: ["generate"] },
  individual_travel_segment: { handle: travelSegment, jobs: ["generate"] },
  join_clips_segment: { handle: joinClipsSegment, jobs: ["generate"] },
  inpaint_frames: { handle: inpaintFrames, jobs: ["generate"] },
  travel_stitch: { handle: travelStitch, jobs: [] },
  dp_final_gen: { handle: perspectiveFinal, jobs: ["generate", "interpolate"] },
};
