import { isObject } from "../../../task-types/levels.ts";
import type { Size } from "../../../task-types/size.ts";
import type { Pose } from "../../video/frames/poses.ts";

/** The people of a picture as OpenPose writes them: x and y in px and a confidence for each point. */
export interface PoseJson {
  readonly people: readonly { readonly pose_keypoints_2d: readonly number[] }[];
  readonly canvas_width: number;
  readonly canvas_height: number;
}

export function poseJson(people: readonly Pose[], { width, height }: Size): PoseJson {
  const rounded = (value: number) => Math.round(value * 1_000) / 1_000;
  return {
    people: people.map((pose) => ({
      pose_keypoints_2d: pose.flatMap(({ x, y, confidence }) => [
        rounded(x * width),
        rounded(y * height),
        rounded(confidence),
      ]),
    })),
    canvas_width: width,
    canvas_height: height,
  };
}

/** The people in a result's `pose`, as shares of the picture's sides; null: it has none that can be read. */
export function posesIn(resultData: unknown): readonly Pose[] | null {
  const pose = isObject(resultData) ? resultData["pose"] : undefined;
  if (!isObject(pose) || !Array.isArray(pose["people"])) {
    return null;
  }
  const [width, height] = [Number(pose["canvas_width"]), Number(pose["canvas_height"])];
  const people = pose["people"].map((person: unknown) => pointsOf(person, width, height));
  return width > 0 && height > 0 && people.length > 0 && people.every((each) => each !== null) ? people : null;
}

function pointsOf(person: unknown, width: number, height: number): Pose | null {
  const values: unknown = isObject(person) ? person["pose_keypoints_2d"] : undefined;
  if (!Array.isArray(values) || values.length % 3 !== 0 || !values.every(Number.isFinite)) {
    return null;
  }
  const numbers = values.map(Number);
  return Array.from({ length: numbers.length / 3 }, (_, at) => ({
    x: (numbers[at * 3] ?? 0) / width,
    y: (numbers[at * 3 + 1] ?? 0) / height,
    confidence: numbers[at * 3 + 2] ?? 0,
  }));
}
