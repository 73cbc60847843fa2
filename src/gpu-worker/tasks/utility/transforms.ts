import { join } from "node:path";
import { sizeOf } from "../../../task-types/size.ts";
import type { Make, TransformRequest } from "../../engines/engine.ts";
import { evenSize } from "../../video/frames/format.ts";
import { interpolatePictures } from "../../video/interpolate.ts";
import type { Handler, Outcome, TaskRun } from "../handler.ts";
import { textValue } from "../values.ts";
import { inputOf, shapeOf } from "./input-of.ts";
import { poseJson } from "./pose-json.ts";
import { standInResult, usesStandIn } from "./stand-in.ts";

type Job = Pick<TransformRequest, "job" | "model" | "inputs" | "make">;

async function byEngine(run: TaskRun, job: Job): Promise<Outcome> {
  const { engine, workDir: outputDir, basename, signal, progress: onProgress } = run;
  if (engine.transform === undefined) {
    throw new Error(`the engine ${engine.name} has no job ${job.job}`);
  }
  const generated = await engine.transform({ ...job, outputDir, basename, signal, onProgress });
  const [main, ...others] = generated.files;
  const { modelUsed: model, notHonoured, people } = generated;
  const result = people === undefined ? {} : { pose: poseJson(people, job.make) };
  return { kind: "files", main, others, model, notHonoured, result };
}

/** A pose's or depth's picture of a picture, in its size. */
function annotation(job: "pose" | "depth"): Handler {
  return async (run) => {
    const input = await inputOf(run, "input_image_path", "input_image_task_id", "picture");
    const make: Make = { kind: "picture", count: 1, ...shapeOf("input_image_path", input) };
    return await byEngine(run, { job, model: null, inputs: [input.path], make });
  };
}

export const generateOpenpose = annotation("pose");
export const generateDepth = annotation("depth");

/** A video from one picture to another: the engine's, or ffmpeg's estimate. */
export const interpolateTwoPictures: Handler = async (run) => {
  const { values, inputs, ffmpeg, workDir, basename } = run;
  const standIn = usesStandIn(run, "interpolate");
  const first = await inputs.fetch("input_image_path1", String(values["input_image_path1"]), "picture");
  const last = await inputs.fetch("input_image_path2", String(values["input_image_path2"]), "picture");
  const resolution = textValue(values, "resolution");
  const make = {
    kind: "video",
    frames: Number(values["frames"]),
    fps: Number(values["fps"]),
    ...(resolution === null ? evenSize(shapeOf("input_image_path1", first)) : sizeOf(resolution)),
  } as const;
  // An older worker wrote its file there; the place of ours is the task's result.
  const notHonoured = [{ param: "output_path", reason: "the file is stored as every result is" }];
  if (!standIn) {
    const inTurn = [first.path, last.path];
    const outcome = await byEngine(run, { job: "interpolate", model: null, inputs: inTurn, make });
    return { ...outcome, notHonoured } as Outcome;
  }
  const target = join(workDir, `${basename}.mp4`);
  await interpolatePictures(ffmpeg, { first: first.path, last: last.path }, { ...make, size: make }, target);
  return { kind: "files", main: target, model: null, result: standInResult("minterpolate"), notHonoured };
};
