import { rename, rm } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cutToEnd } from "../../../supabase/functions/_shared/text.ts";
import type { VideoParams } from "../params.ts";
import type { Engine, NotHonoured } from "./engine.ts";
import { pictureGraph } from "./preview-picture.ts";

const MODEL = "preview";

/**
 * Renders a real H.264 video with exactly the requested frames, fps and size on any CPU. It replaces a model where
 * everything around the model is tried out or tested.
 */
export function createPreviewEngine(ffmpegPath: string): Engine {
  return {
    name: MODEL,
    async generate({ params, outputDir, basename, signal, onProgress }) {
      const videoPath = join(outputDir, `${basename}.mp4`);
      const thumbnailPath = join(outputDir, `${basename}_thumb.jpg`);
      const partPath = join(outputDir, `${basename}.part.mp4`);
      try {
        const frames = await runFfmpeg(ffmpegPath, renderArgs(params, partPath), signal, (frame) =>
          onProgress(Math.min(1, frame / params.frames), `frame ${frame} of ${params.frames}`),
        );
        if (frames !== params.frames) {
          throw new Error(`ffmpeg wrote ${frames} of ${params.frames} frames`);
        }
        await runFfmpeg(ffmpegPath, thumbnailArgs(partPath, thumbnailPath), signal, () => undefined);
        await rename(partPath, videoPath);
      } catch (error) {
        await Promise.all([partPath, videoPath, thumbnailPath].map((path) => rm(path, { force: true })));
        throw error;
      }
      return { videoPath, thumbnailPath, modelUsed: MODEL, notHonoured: notHonoured(params) };
    },
  };
}

function renderArgs(params: VideoParams, path: string): string[] {
  return [
    ["-filter_complex_threads", "1", "-filter_complex", pictureGraph(params), "-map", "[v]"],
    ["-frames:v", String(params.frames), "-r", String(params.fps), "-threads", "1"],
    ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"],
    // Leaves out the names of encoder and muxer: equal input gives equal bytes, so a repeated upload is recognised.
    ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],
    ["-movflags", "+faststart", "-f", "mp4", path],
  ].flat();
}

function thumbnailArgs(videoPath: string, path: string): string[] {
  return ["-threads", "1", "-i", videoPath, "-frames:v", "1", "-q:v", "3", "-f", "image2", path];
}

/** Runs ffmpeg to its end and returns the last frame number it reported. */
async function runFfmpeg(
  ffmpegPath: string,
  args: string[],
  signal: AbortSignal,
  onFrame: (frame: number) => void,
): Promise<number> {
  const flags = ["-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-progress", "pipe:1"];
  const ffmpeg = execa(ffmpegPath, [...flags, ...args], {
    stdin: "ignore",
    buffer: { stdout: false, stderr: true },
    cancelSignal: signal,
    killSignal: "SIGKILL",
    reject: false,
  });
  yieldProcessor(ffmpeg.pid);
  let frame = 0;
  for await (const line of ffmpeg) {
    const next = Number(/^frame=\s*(\d+)/.exec(line)?.[1] ?? 0);
    if (next > frame) {
      onFrame((frame = next));
    }
  }
  const { failed, stderr, shortMessage } = await ffmpeg;
  signal.throwIfAborted();
  if (failed) {
    throw new Error(`ffmpeg (${ffmpegPath}) failed: ${cutToEnd((stderr || (shortMessage ?? "")).trim(), 500)}`);
  }
  return frame;
}

/** Lowers ffmpeg's priority, so that heartbeats stay on time while it uses the whole processor. */
function yieldProcessor(pid: number | undefined): void {
  if (pid === undefined) {
    return;
  }
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already; its exit status is checked later.
  }
}

function notHonoured({ others, unknownKeys }: VideoParams): NotHonoured[] {
  const reasonFor = (param: string) =>
    param === "processing_time"
      ? "it is an estimate; a render takes as long as it takes"
      : "the preview engine runs no model";
  return [
    ...others.map((param) => ({ param, reason: reasonFor(param) })),
    ...unknownKeys.map((param) => ({ param, reason: "no parameter of this name is known" })),
  ];
}
