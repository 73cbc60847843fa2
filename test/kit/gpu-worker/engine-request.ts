import type { GenerateRequest, Make } from "../../../src/gpu-worker/engines/engine.ts";
import { resolveTask } from "../../../src/gpu-worker/tasks/resolve-task.ts";
import { ANY } from "../../../src/task-types/grid.ts";
import { sizeOf } from "../../../src/task-types/size.ts";
import { findTaskType } from "../../../src/task-types/task-types.ts";

type Options = Pick<GenerateRequest, "outputDir" | "basename"> &
  Partial<Pick<GenerateRequest, "signal" | "onProgress">> & { readonly taskType?: string; readonly make?: Make };

/** What an engine is asked for a task of one type, by default a video of `generate_video` as its params say. */
export function requestOf(params: object, { taskType = "generate_video", make, ...options }: Options): GenerateRequest {
  const { values } = resolveTask(findTaskType(taskType)!, { params, leaseToken: "a lease" }, ANY);
  return {
    taskType,
    model: String(values["model"]),
    values,
    make: make ?? {
      kind: "video",
      frames: Number(values["video_length"]),
      fps: Number(values["fps"]),
      ...sizeOf(String(values["resolution"])),
    },
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...options,
  };
}
