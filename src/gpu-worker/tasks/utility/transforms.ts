import { extname, join } from "node:path";
import { sizeOf } from "../../../task-types/size.ts";
import type { Make, TransformRequest } from "../../engines/engine.ts";
import { evenSize } from "../../video/frames/format.ts";
import { interpolatePictures } from "../../video/interpolate.ts";
import { fitPicture } from "../../video/pictures.ts";
import { fitVideo } from "../../video/retime.ts";
import type { Handler, InputFile, Outcome, TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";
import { numberValue, textValue } from "../values.ts";
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

const LARGEST_SIDE_PX = 8_192;

/** A video or picture, larger: by the engine's model, or scaled by ffmpeg. Frames, rate and sound of a video stay. */
export const upscale: Handler = async (run) => {
  const standIn = usesStandIn(run, "upscale");
  const { values, ffmpeg, workDir, basename } = run;
  const field = textValue(values, "video_url") === null ? "image_url" : "video_url";
  const kind = field === "video_url" ? "video" : "picture";
  const input = await run.inputs.fetch(field, textValue(values, field) ?? "", kind);
  const make = upscaled(field, input, numberValue(values, "upscale_factor") ?? 2);
  if (!standIn) {
    const model = textValue(values, "upscale_model_name");
    return await byEngine(run, { job: "upscale", model, inputs: [input.path], make });
  }
  const isPicture = make.kind === "picture";
  const target = join(workDir, `${basename}${isPicture ? (extname(input.path) === ".jpg" ? ".jpg" : ".png") : ".mp4"}`);
  await (isPicture
    ? fitPicture(ffmpeg, input.path, make, "stretch", target)
    : fitVideo(ffmpeg, input.path, make, "stretch", target));
  const notHonoured = [{ param: "upscale_model_name", reason: "ffmpeg scales without a model" }];
  return { kind: "files", main: target, model: null, result: standInResult("bicubic"), notHonoured };
};

function upscaled(field: string, input: InputFile, factor: number): Make {
  const { width, height } = shapeOf(field, input);
  const size = evenSize({ width: Math.round(width * factor), height: Math.round(height * factor) });
  if (Math.max(size.width, size.height) > LARGEST_SIDE_PX) {
    throw new ParamsError(
      `params.upscale_factor: ${factor} makes ${width}x${height} larger than ${LARGEST_SIDE_PX} px: expected a smaller one`,
    );
  }
  if (field === "image_url") {
    return { kind: "picture", count: 1, ...size };
  }
  return { kind: "video", frames: input.frames ?? 1, fps: input.fps ?? 16, ...size };
}
