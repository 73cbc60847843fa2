import { execa } from "execa";
import { parseFfmpegReport } from "../video/probe-video.ts";
import { Refusal, Unavailable } from "../../net/refusal.ts";

export interface Probed {
  /** The file name extension of what the file is, whatever its name says. */
  readonly extension: string;
  /** As shown, after the rotation that the file asks for. */
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly fps: number;
  readonly hasAudio: boolean;
}

/** By the names of ffmpeg's readers. Playlists are missing: they would open other files. */
const PICTURES: Readonly<Record<string, string>> = {
  png_pipe: "png",
  jpeg_pipe: "jpg",
  webp_pipe: "webp",
  bmp_pipe: "bmp",
  tiff_pipe: "tiff",
  gif: "gif",
};
const VIDEOS: Readonly<Record<string, string>> = {
  "mov,mp4,m4a,3gp,3g2,mj2": "mp4",
  "matroska,webm": "mkv",
  avi: "avi",
  mpegts: "ts",
  mpeg: "mpg",
  flv: "flv",
  ogg: "ogv",
  gif: "gif",
};
const READERS = [...new Set([...Object.keys(PICTURES), ...Object.keys(VIDEOS)])].join(",");

/** 16,384 × 8,192: a header may claim any size, and each pixel takes memory. */
const MAX_PIXELS = 2 ** 27;
const TIMEOUT_MS = 120_000;

/**
 * Reads what a file truly is, and decodes its first picture.
 * @throws Refusal when it is not of that kind; Unavailable when ffmpeg could not be run to its end
 */
export async function probeInput(
  path: string,
  kind: "picture" | "video",
  ffmpegPath: string,
  signal: AbortSignal,
): Promise<Probed> {
  const counted = await runFfmpeg(ffmpegPath, path, ["-map", "0:v:0", "-c", "copy"], signal);
  const facts = counted === null ? null : parseFfmpegReport(counted);
  const input = counted?.split(/^Output #0/m)[0] ?? "";
  const reader = /^Input #0, (\S+), from /m.exec(input)?.[1] ?? "";
  const extension = (kind === "picture" ? PICTURES : VIDEOS)[reader];
  if (facts === null || extension === undefined) {
    throw new Refusal(`it is not a ${kind} that can be read`);
  }
  if (facts.width * facts.height > MAX_PIXELS) {
    throw new Refusal(`its size is ${facts.width}x${facts.height}, more than ${MAX_PIXELS / 2 ** 20} megapixels`);
  }
  if ((await runFfmpeg(ffmpegPath, path, ["-map", "0:v:0", "-frames:v", "1"], signal)) === null) {
    throw new Refusal(`it is damaged: its first picture cannot be decoded`);
  }
  const [width, height] = isTurned(input) ? [facts.height, facts.width] : [facts.width, facts.height];
  const { frames, fps } = facts;
  return { extension, width, height, frames, fps, hasAudio: /Stream #0:\d+[^\n]*?: Audio:/.test(input) };
}

/** Its report; null: it cannot read the file. */
async function runFfmpeg(
  ffmpegPath: string,
  path: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string | null> {
  const limits = ["-protocol_whitelist", "file", "-format_whitelist", READERS, "-max_pixels", String(MAX_PIXELS)];
  const run = await execa(
    ffmpegPath,
    ["-hide_banner", "-nostdin", "-xerror", ...limits, "-i", `file:${path}`, ...args, "-f", "null", "-"],
    { reject: false, stdin: "ignore", timeout: TIMEOUT_MS, cancelSignal: signal, env: { AV_LOG_FORCE_NOCOLOR: "1" } },
  );
  signal.throwIfAborted();
  if (run.timedOut || run.exitCode === undefined) {
    throw new Unavailable(`ffmpeg did not end: ${run.shortMessage ?? ""}`);
  }
  return run.exitCode === 0 ? run.stderr : null;
}

/** Phones store an upright film lying, with a note to turn it. */
function isTurned(input: string): boolean {
  const turn = /\brotate\s*:\s*(-?\d+)|rotation of (-?\d+(?:\.\d+)?) degrees/.exec(input);
  return Math.round(Math.abs(Number(turn?.[1] ?? turn?.[2] ?? 0))) % 180 === 90;
}
