import { join } from "node:path";
import type { Size } from "../../../task-types/size.ts";
import type { Expected } from "../../debug/debug.ts";
import { measureVideo } from "../../video/measure.ts";
import { changeFps, fitVideo } from "../../video/retime.ts";
import type { InputFile, TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";

/** A video on this machine, with the rate and the size of the result. */
export interface PreparedClip {
  readonly path: string;
  readonly frames: number;
  readonly hasAudio: boolean;
}

export interface Shape {
  readonly size: Size;
  readonly fps: number;
}

/** How far two rates may differ that count as the same: containers state them in different ways. */
const SAME_FPS = 0.01;

type Clips = Pick<TaskRun, "ffmpeg" | "workDir" | "debug">;

/** Brings a video to a rate and a size, if it has others. @param name of the files in between */
export async function prepareClip(
  run: Clips,
  clip: InputFile,
  name: string,
  { size, fps }: Shape,
): Promise<PreparedClip> {
  const { ffmpeg, workDir, debug } = run;
  let { path, frames } = clip;
  const measured = (what: string, expected: Expected) =>
    debug.measure("SEGMENT_DEBUG", `${name}, ${what}`, path, { ...(frames !== null && { frames }), ...expected });
  await measured("as it came", {});
  if (clip.fps === null || Math.abs(clip.fps - fps) > SAME_FPS) {
    const target = join(workDir, `${name}_fps.mp4`);
    frames = await changeFps(ffmpeg, path, fps, target);
    path = target;
    await measured("at the rate of the result", { fps });
  }
  if (clip.width !== size.width || clip.height !== size.height) {
    const target = join(workDir, `${name}_size.mp4`);
    frames = await fitVideo(ffmpeg, path, size, "crop", target);
    path = target;
    await measured("in the size of the result", size);
  }
  frames ??= (await measureVideo(ffmpeg, path)).frames;
  return { path, frames, hasAudio: clip.hasAudio };
}

/** Whether a result has sound: that of these clips. */
export function soundOf(clips: readonly PreparedClip[]): "keep" | "drop" {
  return clips.some(({ hasAudio }) => hasAudio) ? "keep" : "drop";
}

/** What a video is like. @throws ParamsError naming the field when it cannot be seen in the file */
export function shapeOf(clip: InputFile, field: string): Shape {
  const { width, height, fps } = clip;
  if (width === null || height === null || fps === null) {
    throw new ParamsError(`params.${field}: expected a video, got a file without pictures`);
  }
  return { size: { width: even(width), height: even(height) }, fps };
}

/** A video has even sides. */
function even(px: number): number {
  return Math.max(2, Math.floor(px / 2) * 2);
}
