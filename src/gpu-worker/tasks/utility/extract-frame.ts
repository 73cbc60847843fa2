import { join } from "node:path";
import { extractFrame } from "../../video/pictures.ts";
import type { Handler } from "../handler.ts";
import { numberValue } from "../values.ts";
import { framesOfField, inputOf } from "./input-of.ts";

/** One frame of a video as PNG, in the video's size. The result says which: `frame_index`, from 0. */
export const extractOneFrame: Handler = async (run) => {
  const { path } = await inputOf(run, "input_video_path", "input_video_task_id", "video");
  const target = join(run.workDir, `${run.basename}.png`);
  const index = numberValue(run.values, "frame_index") ?? 0;
  const taken = await framesOfField("frame_index", () => extractFrame(run.ffmpeg, path, index, target));
  return { kind: "files", main: target, model: null, result: { frame_index: taken } };
};
