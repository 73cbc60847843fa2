import { join } from "node:path";
import { gridOf } from "../../../task-types/grid.ts";
import { segmentLength } from "../../../task-types/graphs/frames.ts";
import { problemOf, valueOf } from "../../../task-types/graphs/given.ts";
import { isObject, own } from "../../../task-types/levels.ts";
import type { Given } from "../../../task-types/resolved.ts";
import { sizeOf } from "../../../task-types/size.ts";
import { type GuideLayer, writeGuideVideo } from "../../video/guide-video.ts";
import type { Pose } from "../../video/frames/poses.ts";
import { writeMaskVideo } from "../../video/mask-video.ts";
import { extractFrame } from "../../video/pictures.ts";
import { writePoseVideo } from "../../video/pose-video.ts";
import type { Handler, InputFile, TaskRun } from "../handler.ts";
import { posesIn } from "../utility/pose-json.ts";
import { shapeOf, type Shape } from "./clips.ts";
import { generateVideo } from "./generate.ts";
import { givenOf, locationOf, problemsError } from "./graph-run.ts";

const INTERPOLATED = 0.2;
const GENERATED = 0.95;

/** The movement from what guides the first view to what guides the second; its last frame is the new picture. */
export const perspectiveFinal: Handler = async (run) => {
  const given = givenOf(run);
  const { ffmpeg, workDir, basename, progress } = run;
  const picture = await run.inputs.fetch("input_image_path", String(valueOf(given, "input_image_path")), "picture");
  const shape = shapeOfResult(given, picture);
  const frames = segmentLength(valueOf<number>(given, "output_video_frames") ?? 1, gridOf(valueOf(given, "model")));
  const movement = await interpolate(run, given, shape, frames);
  const guide = join(workDir, "guide.mp4");
  const keepsFirst = valueOf(given, "use_mask_for_first_frame") !== false;
  const layers: GuideLayer[] = [{ path: movement, at: 0, frames, from: 0 }];
  if (keepsFirst) {
    layers.push({ path: picture.path, at: 0 });
  }
  const expected = { frames, fps: shape.fps, ...shape.size };
  await writeGuideVideo(ffmpeg, { ...shape, frames, target: guide, layers });
  await run.debug.measure("SEGMENT_DEBUG", "the guide", guide, expected);
  const mask = keepsFirst ? join(workDir, "mask.mp4") : null;
  if (mask !== null) {
    await writeMaskVideo(ffmpeg, { ...shape, frames, target: mask, kept: [{ start: 0, end: 1 }] });
    await run.debug.measure("SEGMENT_DEBUG", "the mask", mask, expected);
  }
  progress(INTERPOLATED, "guide and mask written");
  const generated = await generateVideo(run, given, {
    ...shape,
    frames,
    inputs: {
      video_guide: guide,
      video_mask: mask,
      image_refs: [picture.path],
      video_prompt_type: mask === null ? "VI" : "VMI",
    },
    from: INTERPOLATED,
    to: GENERATED,
  });
  const main = join(workDir, `${basename}.png`);
  await extractFrame(ffmpeg, generated.files[0], -1, main);
  const { modelUsed: model, notHonoured } = generated;
  return {
    kind: "files",
    main,
    expected: { frames: 1, ...shape.size },
    others: [generated.files[0]],
    model,
    notHonoured,
  };
};

function shapeOfResult(given: Given, picture: InputFile): Shape {
  const size = valueOf<string>(given, "resolution");
  const fps = Number(valueOf(given, "fps"));
  return size === undefined
    ? { size: shapeOf({ ...picture, fps }, "input_image_path").size, fps }
    : { size: sizeOf(size), fps };
}

/** What guides the model from one view to the other, frame by frame: drawn poses where both steps say them, else the engine's estimate. */
async function interpolate(run: TaskRun, given: Given, { size, fps }: Shape, frames: number): Promise<string> {
  const { engine, ffmpeg, workDir, signal, progress } = run;
  const steps = [await stepOutput(run, given, "user_persp"), await stepOutput(run, given, "t2i_persp")] as const;
  const [first, last] = steps.map(({ resultData }) => posesIn(resultData));
  const video = { frames, fps, ...size };
  const isPose = valueOf(given, "perspective_type") !== "depth";
  if (isPose && first != null && last != null && haveSamePoints([...first, ...last])) {
    const target = join(workDir, "movement.mp4");
    await writePoseVideo(ffmpeg, { first, last, frames, fps, size }, target);
    await run.debug.measure("SEGMENT_DEBUG", "the poses between both", target, video);
    return target;
  }
  if (engine.transform === undefined) {
    throw new Error(`the engine ${engine.name} cannot interpolate between pictures`);
  }
  const inputs: string[] = [];
  for (const { field, location } of steps) {
    inputs.push((await run.inputs.fetch(field, location, "picture")).path);
  }
  const { files } = await engine.transform({
    job: "interpolate",
    model: null,
    inputs,
    make: { kind: "video", ...video },
    outputDir: workDir,
    basename: "movement",
    signal,
    onProgress: (fraction, message) => progress(fraction * INTERPOLATED, message),
  });
  return files[0];
}

function haveSamePoints(people: readonly Pose[]): boolean {
  return people.every((pose) => pose.length === people[0]?.length);
}

async function stepOutput(run: TaskRun, given: Given, step: string) {
  const ids = own(valueOf<Readonly<Record<string, unknown>>>(given, "dp_orchestrator_payload") ?? {}, "task_ids");
  const id = isObject(ids) ? own(ids, step) : undefined;
  if (typeof id !== "string") {
    throw problemsError([problemOf(given, "dp_orchestrator_payload", "the id of a task", id, `.task_ids.${step}`)]);
  }
  const output = await run.graph.outputOf(id);
  const location = locationOf(output, `the step ${step}`);
  return { field: `dp_orchestrator_payload.task_ids.${step}`, location, resultData: output?.resultData };
}
