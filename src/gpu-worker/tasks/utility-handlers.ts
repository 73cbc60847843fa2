import type { TypeHandlers } from "./handler.ts";
import { createVisualization } from "./utility/create-visualization.ts";
import { extractOneFrame } from "./utility/extract-frame.ts";
import { generateDepth, generateOpenpose, interpolateTwoPictures } from "./utility/transforms.ts";
import { upscale } from "./utility/upscale.ts";

export const UTILITY_HANDLERS: TypeHandlers = {
  extract_frame: { handle: extractOneFrame, jobs: [] },
  create_visualization: { handle: createVisualization, jobs: [] },
  generate_openpose: { handle: generateOpenpose, jobs: ["pose"] },
  generate_depth: { handle: generateDepth, jobs: ["depth"] },
  rife_interpolate_images: { handle: interpolateTwoPictures, jobs: ["interpolate"] },
  upscaling: { handle: upscale, jobs: ["upscale"] },
};
