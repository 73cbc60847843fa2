import { rename } from "node:fs/promises";
import { valueOf } from "../../../task-types/graphs/given.ts";
import type { Given } from "../../../task-types/resolved.ts";
import { fitVideo } from "../../video/retime.ts";
import type { TaskRun } from "../handler.ts";
import type { Shape } from "./clips.ts";

interface Enlarging extends Shape {
  readonly frames: number;
  readonly factor: number;
}

/**
 * Writes a video in a larger size: by the engine's model, or by plain scaling where the task allows that.
 * @throws Error where neither can be; another worker's engine may do it
 */
export async function enlarge(run: TaskRun, given: Given, source: string, video: Enlarging, target: string) {
  const { engine, workDir, basename, signal, progress, ffmpeg, debug } = run;
  const { size, fps, frames, factor } = video;
  const larger = { width: even(size.width * factor), height: even(size.height * factor) };
  if (engine.can("upscale") && engine.transform !== undefined) {
    const { files, modelUsed, notHonoured } = await engine.transform({
      job: "upscale",
      model: valueOf<string>(given, "upscale_model_name") ?? null,
      inputs: [source],
      make: { kind: "video", frames, fps, ...larger },
      outputDir: workDir,
      basename: `${basename}_larger`,
      signal,
      onProgress: (fraction, message) => progress(0.8 + fraction * 0.2, message),
    });
    await rename(files[0], target);
    return { model: modelUsed, size: larger, result: {}, notHonoured };
  }
  if (valueOf(given, "allow_approximate") !== true) {
    throw new Error(`the engine ${engine.name} cannot upscale, and allow_approximate does not allow plain scaling`);
  }
  await fitVideo(ffmpeg, source, larger, "stretch", target);
  await debug.measure("CHAIN_DEBUG", "after plain scaling", target, { frames, fps, ...larger });
  const notHonoured = [{ param: "upscale_model_name", reason: "plain scaling uses no model" }];
  return { model: null, size: larger, result: { approximate: ["upscale"] }, notHonoured };
}

function even(px: number): number {
  return Math.round(px / 2) * 2;
}
