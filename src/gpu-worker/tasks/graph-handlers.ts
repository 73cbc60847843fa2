import {
  editVideoOrchestrator,
  joinClipsOrchestrator,
  perspectiveOrchestrator,
  travelOrchestrator,
} from "./graphs/orchestrators.ts";
import { inpaintFrames } from "./graphs/inpaint-frames.ts";
import { joinClipsSegment } from "./graphs/join-clips-segment.ts";
import { perspectiveFinal } from "./graphs/perspective-final.ts";
import { travelSegment } from "./graphs/travel-segment.ts";
import { travelStitch } from "./graphs/travel-stitch.ts";
import type { TypeHandlers } from "./handler.ts";

export const GRAPH_HANDLERS: TypeHandlers = {
  travel_orchestrator: { handle: travelOrchestrator, jobs: [] },
  different_perspective_orchestrator: { handle: perspectiveOrchestrator, jobs: [] },
  join_clips_orchestrator: { handle: joinClipsOrchestrator, jobs: [] },
  edit_video_orchestrator: { handle: editVideoOrchestrator, jobs: [] },
  travel_segment: { handle: travelSegment, jobs: ["generate"] },
  individual_travel_segment: { handle: travelSegment, jobs: ["generate"] },
  join_clips_segment: { handle: joinClipsSegment, jobs: ["generate"] },
  inpaint_frames: { handle: inpaintFrames, jobs: ["generate"] },
  travel_stitch: { handle: travelStitch, jobs: [] },
  dp_final_gen: { handle: perspectiveFinal, jobs: ["generate", "interpolate"] },
};
