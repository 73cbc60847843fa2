import { planSegment, type SegmentPlan } from "../../../task-types/graphs/segment.ts";
import { filesOf, type NamedFile, valueOf } from "../../../task-types/graphs/given.ts";
import type { FileKind } from "../../../task-types/kinds.ts";
import type { Given } from "../../../task-types/resolved.ts";
import { sizeOf } from "../../../task-types/size.ts";
import type { Handler, TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";
import { prepareClip, type PreparedClip, type Shape } from "./clips.ts";
import { generateVideo } from "./generate.ts";
import { givenOf, locationOf } from "./graph-run.ts";
import { finishSegment } from "./segment-finish.ts";
import { engineInputs, type SegmentFiles, withoutEffect } from "./segment-guide.ts";

const FETCHED = 0.05;
const PREPARED = 0.1;
const GENERATED = 0.95;

/** A segment of a travel, in its graph or by itself. */
export const travelSegment: Handler = async (run) => {
  const given = givenOf(run);
  const plan = planSegment(given);
  const shape: Shape = { size: sizeOf(String(valueOf(given, "resolution"))), fps: Number(valueOf(given, "fps")) };
  run.logger.info({ category: "SEGMENT_DEBUG", plan, ...shape }, "segment planned");
  const files = await fetchFiles(run, given, plan, shape);
  run.progress(FETCHED, "input files fetched");
  const inputs = await engineInputs(run, plan, files, shape);
  run.progress(PREPARED, "guide and mask written");
  const generated = await generateVideo(run, given, {
    ...shape,
    frames: plan.frames,
    inputs: { ...inputs, video_prompt_type: plan.videoPromptType },
    from: PREPARED,
    to: GENERATED,
  });
  const { between } = files;
  const finished = await finishSegment(run, given, plan, { between, shape, made: generated.files[0] });
  return {
    kind: "files",
    main: finished.main,
    expected: finished.expected,
    model: generated.modelUsed,
    notHonoured: [...generated.notHonoured, ...finished.notHonoured, ...withoutEffect(given, plan)],
    result: { segment_index: plan.index },
  };
};

async function fetchFiles(run: TaskRun, given: Given, plan: SegmentPlan, shape: Shape): Promise<SegmentFiles> {
  const path = async (named: NamedFile | null, kind: FileKind) =>
    named === null ? null : (await run.inputs.fetch(named.field, named.file, kind)).path;
  const parameter = async (field: string) => await path(namedBy(given, field), "video");
  const refs: string[] = [];
  for (const ref of plan.refs) {
    refs.push((await run.inputs.fetch(ref.field, ref.file, "picture")).path);
  }
  const showsPictures = ["colour_match_videos", "show_input_images"].some((name) => valueOf(given, name) === true);
  const { start, end } = showsPictures ? plan.between : { start: null, end: null };
  return {
    previous: await fetchPrevious(run, plan, shape),
    start: await path(plan.start, "picture"),
    end: await path(plan.end, "picture"),
    between: { start: await path(start, "picture"), end: await path(end, "picture") },
    refs,
    guide: await path(plan.guide, "video"),
    mask: await path(plan.mask, "video"),
    guide2: await parameter("video_guide2"),
    mask2: await parameter("video_mask2"),
  };
}

function namedBy(given: Given, field: string): NamedFile | null {
  const [file] = filesOf(given, field);
  return file === undefined ? null : { field, file };
}

async function fetchPrevious(run: TaskRun, { previous }: SegmentPlan, shape: Shape): Promise<PreparedClip | null> {
  if (previous === null) {
    return null;
  }
  const { from, frames } = previous;
  const [field, file] =
    from === "predecessor"
      ? ["dependant_on", locationOf(await run.graph.predecessorOutput(), "the segment before")]
      : [from.field, from.file];
  const clip = await prepareClip(run, await run.inputs.fetch(field, file, "video"), "previous", shape);
  if (clip.frames < frames) {
    throw new ParamsError(
      `params.frame_overlap_from_previous: expected at most ${clip.frames}, the frames of what comes before, got ${frames}`,
    );
  }
  return clip;
}
