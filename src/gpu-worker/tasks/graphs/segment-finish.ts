import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Given } from "../../../task-types/resolved.ts";
import type { SegmentPlan } from "../../../task-types/graphs/segment.ts";
import { valueOf } from "../../../task-types/graphs/given.ts";
import type { Expected } from "../../debug/debug.ts";
import type { NotHonoured } from "../../engines/engine.ts";
import { adjustVideo } from "../../video/adjust.ts";
import { matchColours } from "../../video/colour-match.ts";
import type { TaskRun } from "../handler.ts";
import { type BannerPictures, writeBanner } from "./banner-of.ts";
import type { Shape } from "./clips.ts";

interface Finished {
  readonly main: string;
  readonly expected: Expected;
  readonly notHonoured: readonly NotHonoured[];
}

/** The pictures between which a segment lies, on this machine. */
export type Between = BannerPictures;

interface Step {
  readonly name: string;
  readonly apply: (from: string, to: string) => Promise<unknown>;
  /** The size after it; the same without it. */
  readonly size?: Shape["size"];
}

/** Does with a segment what comes after its model, step by step, each measured. */
export async function finishSegment(
  run: TaskRun,
  given: Given,
  plan: SegmentPlan,
  { between, shape, made }: { readonly between: Between; readonly shape: Shape; readonly made: string },
): Promise<Finished> {
  const { ffmpeg, workDir, basename, debug } = run;
  const { saturation, brightness } = plan;
  const steps: Step[] = [];
  const notHonoured: NotHonoured[] = [];
  if (saturation !== 1) {
    steps.push({ name: "saturation", apply: (from, to) => adjustVideo(ffmpeg, from, { saturation }, to) });
  }
  if (brightness !== 0) {
    steps.push({ name: "brightness", apply: (from, to) => adjustVideo(ffmpeg, from, { brightness }, to) });
  }
  if (valueOf(given, "colour_match_videos") === true) {
    const { start, end } = between;
    if (start === null || end === null) {
      const reason = `the segment has no picture at its ${start === null ? "beginning" : "end"} to take colours from`;
      notHonoured.push({ param: "colour_match_videos", reason });
    } else {
      steps.push({ name: "colours", apply: (from, to) => matchColours(ffmpeg, from, { start, end }, to) });
    }
  }
  // The segments of a travel begin with the end of others, where nothing may stand above: the stitch shows the pictures.
  if (valueOf(given, "show_input_images") === true && run.type.name === "individual_travel_segment") {
    const size = { width: shape.size.width, height: shape.size.height * 2 };
    steps.push({ name: "pictures above", apply: (from, to) => writeBanner(run, from, between, to), size });
  }
  let path = made;
  let expected: Expected = { frames: plan.frames, fps: shape.fps, ...shape.size };
  for (const [index, { name, apply, size }] of steps.entries()) {
    const target = join(workDir, `finish_${index}.mp4`);
    await apply(path, target);
    expected = { ...expected, ...size };
    await debug.measure("CHAIN_DEBUG", `after the step ${name}`, target, expected);
    path = target;
  }
  const main = join(workDir, `${basename}.mp4`);
  await rename(path, main);
  return { main, expected, notHonoured };
}
