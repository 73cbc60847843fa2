import { execa } from "execa";
import { cutToEnd } from "../../../supabase/functions/_shared/text.ts";

export interface VideoFacts {
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  /** As the container states it, to two decimals. */
  readonly fps: number;
  /** Counted packet by packet. */
  readonly frames: number;
  readonly durationSec: number;
  readonly pixelFormat: string;
}

/**
 * Measures a video file. Uses ffmpeg alone, because ffprobe is often missing beside it.
 * @param source a path, or an http address if that ffmpeg has networking.
 * @throws Error naming the source when it has no readable video stream.
 */
export async function probeVideo(source: string, ffmpegPath: string): Promise<VideoFacts> {
  const { stderr, exitCode } = await execa(
    ffmpegPath,
    ["-hide_banner", "-nostdin", "-i", source, "-map", "0:v:0", "-c", "copy", "-f", "null", "-"],
    { reject: false, stdin: "ignore", timeout: 120_000, env: { AV_LOG_FORCE_NOCOLOR: "1" } },
  );
  const facts = exitCode === 0 ? parseFfmpegReport(stderr) : null;
  if (facts === null) {
    throw new Error(`${source} is not a readable video: ${cutToEnd(stderr.trim(), 300)}`);
  }
  return facts;
}

/** Reads ffmpeg's report about its first input; null when it lacks a video stream or a frame count. */
export function parseFfmpegReport(report: string): VideoFacts | null {
  const input = report.split(/^Output #0/m)[0] ?? "";
  const stream = /Stream #0:\d+[^\n]*?: Video: (.+)/.exec(input)?.[1];
  const duration = /Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)/.exec(input);
  const counts = [...report.matchAll(/frame=\s*(\d+)/g)];
  const frames = counts.at(-1)?.[1];
  if (stream === undefined || frames === undefined) {
    return null;
  }

  // Commas also occur inside brackets: "h264 (High) (avc1 / 0x31637661), yuv420p(tv, bt709), 320x180 [SAR 1:1 …]".
  const [codec, pixelFormat] = stream.replace(/\([^)]*\)|\[[^\]]*\]/g, "").split(",");
  const size = /\b(\d{2,5})x(\d{2,5})\b/.exec(stream.replace(/\([^)]*\)/g, ""));
  // A single picture has no average rate ("fps"), only a nominal one ("tbr").
  const fps = /([\d.]+)(k?) fps/.exec(stream) ?? /([\d.]+)(k?) tbr/.exec(stream);
  if (!codec || !pixelFormat || !size || !fps) {
    return null;
  }
  return {
    codec: codec.trim(),
    width: Number(size[1]),
    height: Number(size[2]),
    fps: Number(fps[1]) * (fps[2] === "k" ? 1_000 : 1),
    frames: Number(frames),
    durationSec: duration ? Number(duration[1]) * 3_600 + Number(duration[2]) * 60 + Number(duration[3]) : 0,
    pixelFormat: pixelFormat.trim(),
  };
}
