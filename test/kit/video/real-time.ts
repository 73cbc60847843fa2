import { fileURLToPath } from "node:url";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";

const SCRIPT = fileURLToPath(new URL("real-time-ffmpeg.sh", import.meta.url));

/**
 * The environment of a GPU worker whose ffmpeg makes a video no faster than the video plays. A task is then as long as its
 * frames / fps on any machine, and costs the processor nothing.
 */
export async function inRealTime(): Promise<Record<string, string>> {
  return { FFMPEG_PATH: SCRIPT, REAL_FFMPEG: await findFfmpeg(process.env["FFMPEG_PATH"] ?? null) };
}
