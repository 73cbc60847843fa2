import type { Given } from "../resolved.ts";
import { valueOf } from "./given.ts";
import { besideDetails, detailsOf, type GraphParent, present, referenceTo, type TaskGraph } from "./rows.ts";

/** The model of the step that draws the new picture from the text. */
const PICTURE_MODEL = "t2v";

/**
 * The five steps of another perspective, one after the other: what guides the change (pose or depth) of the given picture; a picture
 * of the new view; its frame; what guides the change of that; the movement from one to the other, whose last frame is the result.
 * @param size of the result, such as "832x480"
 */
export function perspectiveGraph(given: Given, parent: GraphParent, size: string): TaskGraph {
  const guide = valueOf(given, "perspective_type") === "depth" ? "generate_depth" : "generate_openpose";
  const ids = {
    user_persp: parent.idOf(guide, 0),
    t2i: parent.idOf("wgp", 0),
    extract: parent.idOf("extract_frame", 0),
    t2i_persp: parent.idOf(guide, 1),
    final_gen: parent.idOf("dp_final_gen", 0),
  };
  const reference = referenceTo(given, parent);
  const payload = {
    run_id: reference["orchestrator_run_id"],
    orchestrator_task_id: parent.taskId,
    original_params: detailsOf(parent),
    task_ids: ids,
  };
  const { resolution: _resolution, ...beside } = besideDetails(given, parent, new Set(Object.keys(given)));
  const step = (id: string, taskType: string, dependantOn: string | null, params: Record<string, unknown>) => ({
    id,
    taskType,
    dependantOn,
    params: present({ ...reference, ...params }),
  });
  const drawn = {
    prompt: valueOf(given, "prompt"),
    negative_prompt: valueOf(given, "negative_prompt"),
    seed: valueOf(given, "seed"),
    model: PICTURE_MODEL,
    video_length: 1,
    resolution: size,
  };
  return {
    subTasks: [
      step(ids.user_persp, guide, null, { input_image_path: valueOf(given, "input_image_path") }),
      step(ids.t2i, "wgp", ids.user_persp, drawn),
      step(ids.extract, "extract_frame", ids.t2i, { input_video_task_id: ids.t2i, frame_index: 0 }),
      step(ids.t2i_persp, guide, ids.extract, { input_image_task_id: ids.extract }),
      step(ids.final_gen, "dp_final_gen", ids.t2i_persp, {
        ...beside,
        resolution: size,
        dp_orchestrator_payload: payload,
      }),
    ],
    resultTaskId: ids.final_gen,
  };
}
