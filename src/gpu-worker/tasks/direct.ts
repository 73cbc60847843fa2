import { type Grid, gridOf, snapSide } from "../../task-types/grid.ts";
import { type Size, sizeOf, textOf } from "../../task-types/size.ts";
import type { Make, NotHonoured } from "../engines/engine.ts";
import { fetchInputs, type FetchedInputs } from "./fetch-inputs.ts";
import type { Handler, TaskRun, TypeHandlers } from "./handler.ts";
import { numberValue, textValue } from "./values.ts";

/** Where neither the task nor a picture of it says a size. */
const USUAL_SIZE: Size = { width: 1_280, height: 720 };

/** One run of the engine: a video, or pictures where a single frame or `num_images` is asked for. */
const direct: Handler = async (run) => {
  const { type, values, engine, workDir, basename, signal, progress } = run;
  const inputs = await fetchInputs(run);
  const model = textValue(values, "model") ?? type.model ?? "";
  const asked = sizeFor(run, inputs, engine.grid ?? gridOf(model));
  const make = makeFor(run, asked);
  const generated = await engine.generate({
    taskType: type.name,
    model,
    values: inputs.values,
    make,
    outputDir: workDir,
    basename,
    signal,
    onProgress: progress,
  });
  const [main, ...others] = generated.files;
  const notHonoured = [...generated.notHonoured, ...unevenSides(asked, make)];
  return { kind: "files", main, others, model: generated.modelUsed, notHonoured };
};

/** The task's size, or else that of the first picture that it names. */
function sizeFor({ type, values }: TaskRun, { files }: FetchedInputs, grid: Grid): Size {
  const text = textValue(values, "resolution");
  if (text !== null) {
    return sizeOf(text);
  }
  const pictures = type.parameters.flatMap(({ name }) => files.get(name) ?? []);
  const picture = pictures.find(({ kind }) => kind === "picture");
  const width = picture?.width ?? USUAL_SIZE.width;
  const height = picture?.height ?? USUAL_SIZE.height;
  return { width: snapSide(width, grid), height: snapSide(height, grid) };
}

function makeFor({ values }: TaskRun, { width, height }: Size): Make {
  const count = numberValue(values, "num_images");
  const frames = numberValue(values, "video_length") ?? 1;
  if (count !== null || frames === 1) {
    return { kind: "picture", count: count ?? 1, width, height };
  }
  // The colours of a video are shared by pairs of pixels.
  const even = (sidePx: number) => Math.max(2, sidePx - (sidePx % 2));
  return { kind: "video", frames, fps: numberValue(values, "fps") ?? 16, width: even(width), height: even(height) };
}

function unevenSides(asked: Size, { width, height }: Make): NotHonoured[] {
  const made = { width, height };
  return textOf(asked) === textOf(made)
    ? []
    : [{ param: "resolution", reason: `a video has even sides: ${textOf(made)} instead of ${textOf(asked)}` }];
}

const DIRECT = { handle: direct, jobs: ["generate"] } as const;

export const DIRECT_HANDLERS: TypeHandlers = {
  generate_video: DIRECT,
  t2v: DIRECT,
  t2v_22: DIRECT,
  i2v: DIRECT,
  i2v_22: DIRECT,
  vace: DIRECT,
  vace_21: DIRECT,
  vace_22: DIRECT,
  hunyuan: DIRECT,
  ltxv: DIRECT,
  wgp: DIRECT,
  flux: DIRECT,
  wan_2_2_t2i: DIRECT,
  single_image: DIRECT,
  qwen_image: DIRECT,
  qwen_image_2512: DIRECT,
  qwen_image_hires: DIRECT,
  qwen_image_style: DIRECT,
  qwen_image_edit: DIRECT,
  image_inpaint: DIRECT,
  annotated_image_edit: DIRECT,
  z_image_turbo: DIRECT,
  z_image_turbo_i2i: DIRECT,
};
