import { lazily, type TypeHandlers } from "./handler.ts";

const extractOneFrame = lazily(() => import("./utility/extract-frame.ts"), "extractOneFrame");
const createVisualization = lazily(() => import("./utility/create-visualization.ts"), "createVisualization");

function transforms() {
  return import("./utility/transforms.ts");
}

export const UTILITY_HANDLERS: TypeHandlers = {
  extract_frame: { handle: extractOneFrame, jobs: [] },
  create_visualization: { handle: createVisualization, jobs: [] },
  generate_openpose: { handle: lazily(transforms, "generateOpenpose"), jobs: ["pose"] },
  generate_depth: { handle: lazily(transforms, "generateDepth"), jobs: ["depth"] },
  rife_interpolate_images: { handle: lazily(transforms, "interpolateTwoPictures"), jobs: ["interpolate"] },
  upscaling: { handle: lazily(() => import("./utility/upscale.ts"), "upscale"), jobs: ["upscale"] },
};
