import { sizeOf } from "../../task-types/size.ts";
import type { Handler, TypeHandlers } from "./handler.ts";

/** One run of the engine. */
const direct: Handler = async ({ type, values, engine, workDir, basename, signal, progress }) => {
  const generated = await engine.generate({
    taskType: type.name,
    model: String(values["model"]),
    values,
    make: {
      kind: "video",
      frames: Number(values["video_length"]),
      fps: Number(values["fps"]),
      ...sizeOf(String(values["resolution"])),
    },
    outputDir: workDir,
    basename,
    signal,
    onProgress: progress,
  });
  const [main, ...others] = generated.files;
  return { kind: "files", main, others, model: generated.modelUsed, notHonoured: generated.notHonoured };
};

export const DIRECT_HANDLERS: TypeHandlers = {
  generate_video: { handle: direct, jobs: ["generate"] },
};
