import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { textValue } from "../../tasks/values.ts";
import { createFfmpeg, type Ffmpeg } from "../../video/ffmpeg.ts";
import type { Engine, GenerateRequest, Make, NotHonoured } from "../engine.ts";
import { drawingGraph } from "./drawing.ts";

const NAME = "preview";
const HONOURED: ReadonlySet<string> = new Set(["prompt", "video_length", "num_images", "fps", "resolution", "seed"]);

/**
 * Makes real files of exactly the requested length, rate and size on any CPU, without any model. It replaces an engine where
 * everything around the models is tried out or tested.
 */
export function createPreviewEngine(ffmpegPath: string): Engine {
  return {
    name: NAME,
    // A video's sides must be even for its colours; no other size or length is refused.
    grid: { sidePx: 2, frameStep: 1 },
    can: (job) => job === "generate",
    async generate(request) {
      const ffmpeg = createFfmpeg(ffmpegPath, request.signal);
      const { make } = request;
      if (make.kind === "picture") {
        throw new Error("the preview engine makes no pictures yet");
      }
      const path = await renderVideo(ffmpeg, request, make);
      return { files: [path], modelUsed: NAME, notHonoured: notHonoured(request) };
    },
  };
}

async function renderVideo(
  ffmpeg: Ffmpeg,
  { values, outputDir, basename, onProgress }: GenerateRequest,
  make: Extract<Make, { kind: "video" }>,
): Promise<string> {
  const path = join(outputDir, `${basename}.mp4`);
  const partPath = join(outputDir, `${basename}.part.mp4`);
  const drawing = { prompt: textValue(values, "prompt") ?? "", seed: Number(values["seed"] ?? 0), ...make };
  try {
    const graph = ["-filter_complex_threads", "1", "-filter_complex", drawingGraph(drawing), "-map", "[v]"];
    const frames = await ffmpeg.run([...graph, ...encoding(make, partPath)], (frame) =>
      onProgress(Math.min(1, frame / make.frames), `frame ${frame} of ${make.frames}`),
    );
    if (frames !== make.frames) {
      throw new Error(`ffmpeg wrote ${frames} of ${make.frames} frames`);
    }
    await rename(partPath, path);
    return path;
  } catch (error) {
    await Promise.all([partPath, path].map((each) => rm(each, { force: true })));
    throw error;
  }
}

function encoding({ frames, fps }: Extract<Make, { kind: "video" }>, path: string): string[] {
  return [
    ["-frames:v", String(frames), "-r", String(fps), "-threads", "1"],
    ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"],
    // Leaves out the names of encoder and muxer: equal input gives equal bytes, so a repeated upload is recognised.
    ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],
    ["-movflags", "+faststart", "-f", "mp4", path],
  ].flat();
}

function notHonoured({ values }: GenerateRequest): NotHonoured[] {
  const reasonFor = (param: string) =>
    param === "processing_time"
      ? "it is an estimate; a render takes as long as it takes"
      : "the preview engine runs no model";
  const params = Object.keys(values).filter((param) => !HONOURED.has(param));
  return params.map((param) => ({ param, reason: reasonFor(param) }));
}
