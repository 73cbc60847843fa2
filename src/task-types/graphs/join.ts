import { gridOf } from "../grid.ts";
import { isObject, own } from "../levels.ts";
import type { Given, Problem } from "../resolved.ts";
import { problemOf, valueOf } from "./given.ts";
import {
  besideDetails,
  detailsOf,
  type GraphParent,
  present,
  referenceTo,
  type SubTaskRow,
  type TaskGraph,
} from "./rows.ts";
import { isSeamProblem, planSeam } from "./seam.ts";

/** What is known of a clip when joins are planned, at the rate of the result. */
export interface Clip {
  /** Null: there is none, because the new frames are at the edge of the video. */
  readonly file: string | null;
  readonly frames: number;
  /** The field that names it, with its place, such as ["clip_list", "[2].url"]. */
  readonly field: readonly [name: string, at: string];
}

/** The new frames between two clips. */
export interface Join {
  readonly context: number;
  readonly gap: number;
  readonly replace: boolean;
  /** Values of this join alone, such as its prompt, by the parameters' names. */
  readonly own: Readonly<Record<string, unknown>>;
  /** The field that gave the gap. */
  readonly gapField: readonly [name: string, at: string];
}

export interface Joins {
  readonly clips: readonly Clip[];
  readonly joins: readonly Join[];
  /** Whether one more join leads from the end back to the first clip, whose frames it does not repeat. */
  readonly closesLoop: boolean;
  readonly size: string;
  readonly fps: number;
}

/** The least that a join can set for itself beside numbers of frames. */
const OWN_TEXTS = ["prompt", "negative_prompt"];
const OWN_NUMBERS = ["gap_frame_count", "context_frame_count"];

/** What is wrong with the values of a task that joins clips, as far as it shows without the clips. */
export function joinClipsProblems(given: Given): Problem[] {
  const settings = valueOf<readonly unknown[]>(given, "per_join_settings") ?? [];
  const count = joinCount(given);
  const problems =
    settings.length > count
      ? [problemOf(given, "per_join_settings", `at most ${count} objects, one for each join`, settings)]
      : [];
  const clips = valueOf<readonly unknown[]>(given, "clip_list") ?? [];
  if (count === 0) {
    problems.push(problemOf(given, "clip_list", "at least two clips, or one with loop_first_clip", clips));
  }
  return [...problems, ...settings.flatMap((each, index) => settingProblems(given, each, index))];
}

function settingProblems(given: Given, setting: unknown, index: number): Problem[] {
  if (setting === null) {
    return [];
  }
  if (!isObject(setting)) {
    return [problemOf(given, "per_join_settings", "an object", setting, `[${index}]`)];
  }
  const wrong = (name: string, allowed: string) =>
    problemOf(given, "per_join_settings", allowed, setting[name], `[${index}].${name}`);
  const isCount = (value: unknown) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 1_000;
  return [
    ...OWN_NUMBERS.filter((name) => own(setting, name) !== undefined && !isCount(setting[name])).map((name) =>
      wrong(name, "an integer between 1 and 1000"),
    ),
    ...OWN_TEXTS.filter((name) => own(setting, name) !== undefined && typeof setting[name] !== "string").map((name) =>
      wrong(name, "a text"),
    ),
  ];
}

function joinCount(given: Given): number {
  const clips = valueOf<readonly unknown[]>(given, "clip_list") ?? [];
  return clips.length - 1 + Number(closesLoop(given));
}

export function closesLoop(given: Given): boolean {
  return valueOf<boolean>(given, "loop_first_clip") ?? false;
}

/** The joins of a task that joins clips and whose values have no problem. */
export function joinsOf(given: Given): Join[] {
  const settings = valueOf<readonly unknown[]>(given, "per_join_settings") ?? [];
  return Array.from({ length: joinCount(given) }, (_, index) => {
    const setting = isObject(settings[index]) ? settings[index] : {};
    const count = (name: string) => Number(own(setting, name) ?? valueOf<number>(given, name));
    const hasGap = own(setting, "gap_frame_count") !== undefined;
    return {
      context: count("context_frame_count"),
      gap: count("gap_frame_count"),
      replace: valueOf<boolean>(given, "replace_mode") ?? false,
      own: setting,
      gapField: hasGap ? ["per_join_settings", `[${index}].gap_frame_count`] : ["gap_frame_count", ""],
    };
  });
}

/** How long the video is after each join, or what is wrong with the joins and their clips together. */
export function planJoins(given: Given, { clips, joins, closesLoop: isLoop }: Joins): number[] | Problem[] {
  const grid = gridOf(valueOf(given, "model"));
  const lengths: number[] = [];
  let length = clips[0]?.frames ?? 0;
  for (const [index, { context, gap, replace, gapField }] of joins.entries()) {
    const closing = isLoop && index === joins.length - 1;
    const after = clips[closing ? 0 : index + 1];
    const plan = planSeam({ before: length, after: after?.frames ?? 0, context, gap, replace }, grid);
    if (isSeamProblem(plan)) {
      const clip = plan.wrong === "before" && index === 0 ? clips[0] : after;
      const [name, at] = plan.wrong === "gap" ? gapField : (clip?.field ?? gapField);
      const got = plan.wrong === "gap" ? gap : `${(plan.wrong === "before" ? length : after?.frames) ?? 0} frames`;
      return [problemOf(given, name, plan.expected, got, at)];
    }
    // The frames of the first clip are at the beginning already; those that the gap replaces go there.
    length = closing ? plan.total - (after?.frames ?? 0) : plan.total;
    lengths.push(length);
  }
  return lengths;
}

/** The chain of joins: each begins with what the one before has made. */
export function joinGraph(
  given: Given,
  parent: GraphParent,
  { clips, joins, closesLoop: isLoop, size, fps }: Joins,
): TaskGraph {
  const shared = { ...besideDetails(given, parent, sharedNames(given)), ...referenceTo(given, parent) };
  const subTasks = joins.map(({ context, gap, replace, own: ownValues }, index): SubTaskRow => {
    const isLast = index === joins.length - 1;
    const closing = isLoop && isLast;
    return {
      id: parent.idOf("join_clips_segment", index),
      taskType: "join_clips_segment",
      dependantOn: index === 0 ? null : parent.idOf("join_clips_segment", index - 1),
      params: present({
        ...shared,
        join_index: index,
        is_first_join: index === 0,
        is_last_join: isLast,
        starting_video_path: index === 0 ? clips[0]?.file : null,
        ending_video_path: clips[closing ? 0 : index + 1]?.file,
        context_frame_count: context,
        gap_frame_count: gap,
        replace_mode: replace,
        closes_loop: closing ? true : null,
        prompt: own(ownValues, "prompt") ?? valueOf(given, "prompt"),
        negative_prompt: own(ownValues, "negative_prompt") ?? valueOf(given, "negative_prompt"),
        resolution: size,
        fps,
        full_orchestrator_payload: detailsOf(parent),
      }),
    };
  });
  return { subTasks, resultTaskId: parent.idOf("join_clips_segment", joins.length - 1) };
}

/** Values that are set for each join, or that only the orchestrator task has. */
const NOT_SHARED: ReadonlySet<string> = new Set(
  `prompt negative_prompt context_frame_count gap_frame_count replace_mode resolution fps run_id
  clip_list loop_first_clip per_join_settings source_video_url portions_to_regenerate`.split(/\s+/),
);

function sharedNames(given: Given): ReadonlySet<string> {
  return new Set(Object.keys(given).filter((name) => !NOT_SHARED.has(name)));
}
