import type { Given, Problem } from "../resolved.ts";
import { problemOf, valueOf } from "./given.ts";
import type { Join } from "./join.ts";
import type { Frames } from "./segment.ts";

interface Portion {
  readonly start_frame: number;
  /** The last frame that is made anew. */
  readonly end_frame: number;
  readonly prompt?: unknown;
  readonly gap_frame_count?: unknown;
}

interface PlacedPortion extends Portion {
  /** Its place in the list as it was given. */
  readonly place: number;
}

export interface EditPlan {
  /** What stays of the video: before the first portion, between portions, and after the last one. Null: no frame does. */
  readonly keepers: readonly (Frames | null)[];
  readonly joins: readonly Join[];
}

const PORTIONS = "portions_to_regenerate";

/** What is wrong with the values of an edit, as far as it shows without the video. */
export function editProblems(given: Given): Problem[] {
  const portions = portionsOf(given);
  return portions.flatMap((portion, index) => {
    const { place, start_frame: start, prompt, gap_frame_count: gap } = portion;
    const before = portions[index - 1];
    const wrong = (name: string, allowed: string, value: unknown) =>
      problemOf(given, PORTIONS, allowed, value, `[${place}].${name}`);
    return [
      ...(before !== undefined && start <= before.end_frame
        ? [wrong("start_frame", `more than ${before.end_frame}, the last frame of another portion`, start)]
        : []),
      ...(prompt != null && typeof prompt !== "string" ? [wrong("prompt", "a text", prompt)] : []),
      ...(gap != null && !(Number.isInteger(gap) && Number(gap) >= 1 && Number(gap) <= 1_000)
        ? [wrong("gap_frame_count", "an integer between 1 and 1000", gap)]
        : []),
    ];
  });
}

/** @param frames of the video that is edited */
export function planEdit(given: Given, frames: number): EditPlan | Problem[] {
  const portions = portionsOf(given);
  const problems = portions.flatMap(({ place, end_frame: end }) =>
    end < frames
      ? []
      : [problemOf(given, PORTIONS, `at most ${frames - 1}, the last frame of the video`, end, `[${place}].end_frame`)],
  );
  const [first, second] = portions;
  if (problems.length === 0 && first?.start_frame === 0 && (second?.start_frame ?? frames) === first.end_frame + 1) {
    const place = second?.place ?? first.place;
    const [name, value] = second === undefined ? ["end_frame", first.end_frame] : ["start_frame", second.start_frame];
    const allowed = "a portion that leaves a frame of the video before or after the first one";
    problems.push(problemOf(given, PORTIONS, allowed, value, `[${place}].${name}`));
  }
  if (problems.length > 0) {
    return problems;
  }
  const starts = [0, ...portions.map(({ end_frame: end }) => end + 1)];
  const ends = [...portions.map(({ start_frame: start }) => start), frames];
  const keepers = starts.map((start, index) => {
    const end = ends[index] ?? frames;
    return start < end ? { start, end } : null;
  });
  return { keepers, joins: portions.map((portion) => joinOf(given, portion)) };
}

/** A portion gets as many new frames as it had, unless it or the task says another number. */
function joinOf(
  given: Given,
  { place, start_frame: start, end_frame: end, prompt, gap_frame_count: gap }: PlacedPortion,
): Join {
  const common = valueOf<number>(given, "gap_frame_count");
  return {
    context: valueOf<number>(given, "context_frame_count") ?? 1,
    gap: Number(gap ?? common ?? end - start + 1),
    replace: false,
    own: prompt == null ? {} : { prompt },
    gapField: gap == null && common !== undefined ? ["gap_frame_count", ""] : [PORTIONS, `[${place}]`],
  };
}

function portionsOf(given: Given): PlacedPortion[] {
  const portions = valueOf<readonly Portion[]>(given, PORTIONS) ?? [];
  return portions
    .map((portion, place) => ({ ...portion, place }))
    .toSorted((one, other) => one.start_frame - other.start_frame);
}
