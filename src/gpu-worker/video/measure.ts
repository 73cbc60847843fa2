import { execa } from "execa";
import { cutToEnd } from "../../../supabase/functions/_shared/text.ts";
import { parseFfmpegReport, type VideoFacts } from "./probe-video.ts";
import type { Ffmpeg } from "./ffmpeg.ts";
import { FramesError } from "./frames/arithmetic.ts";

/** Width and height are those of the frames as they are decoded. */
export interface MeasuredVideo extends VideoFacts {
  /** Decoded and counted: what a player shows, which may differ from what the container states. */
  readonly frames: number;
  /** NTSC rates in full: 29.97 is 30000 / 1001. */
  readonly fps: number;
  readonly hasAudio: boolean;
}

const AUDIO = /Stream #0:\d+[^\n]*?: Audio: /;
/** Rates that ffmpeg prints to two decimals. */
const NTSC = [24, 30, 48, 60, 120].map((rate) => (rate * 1000) / 1001);

/**
 * Measures a video or picture by decoding all of it. Uses ffmpeg alone, because ffprobe is often missing beside it.
 * @throws Error naming the file when it has no readable pictures.
 */
export async function measureVideo(ffmpeg: Ffmpeg, source: string): Promise<MeasuredVideo> {
  return await measure(ffmpeg, source, []);
}

/** A file has another number of frames than its packets: found while it was decoded. */
export class CountError extends Error {
  override readonly name = "CountError";
}

export type Measure = typeof measureVideo;

/**
 * Does work for which lengths have to be known. They are counted by packets first, which takes no decoding. If the work finds by a
 * CountError or FramesError that this may be wrong, it is done again with decoded lengths.
 */
export async function withLengths<T>(work: (measure: Measure) => Promise<T>): Promise<T> {
  try {
    return await work((ffmpeg, source) => measure(ffmpeg, source, ["-c", "copy"]));
  } catch (error) {
    if (!(error instanceof CountError || error instanceof FramesError)) {
      throw error;
    }
    return await work(measureVideo);
  }
}

async function measure({ path, signal }: Ffmpeg, source: string, how: readonly string[]): Promise<MeasuredVideo> {
  signal.throwIfAborted();
  const { stderr, exitCode } = await execa(
    path,
    ["-hide_banner", "-nostdin", "-i", source, "-map", "0:v:0", ...how, "-f", "null", "-"],
    { reject: false, stdin: "ignore", cancelSignal: signal, env: { AV_LOG_FORCE_NOCOLOR: "1" } },
  );
  signal.throwIfAborted();
  const facts = exitCode === 0 ? parseFfmpegReport(stderr) : null;
  if (facts === null) {
    throw new Error(`${source} is not a readable video: ${cutToEnd(stderr.trim(), 300)}`);
  }
  const input = stderr.split(/^Output #0/m)[0] ?? "";
  const shown = isTurned(input) ? { width: facts.height, height: facts.width } : {};
  return { ...facts, ...shown, fps: exactRate(facts.fps), hasAudio: AUDIO.test(input) };
}

/** Whether a file has a stream of sound. Decodes nothing; a file that cannot be read has none. */
export async function hasSound({ path, signal }: Ffmpeg, source: string): Promise<boolean> {
  const { stderr } = await execa(path, ["-hide_banner", "-nostdin", "-i", source], {
    reject: false,
    stdin: "ignore",
    cancelSignal: signal,
    env: { AV_LOG_FORCE_NOCOLOR: "1" },
  });
  signal.throwIfAborted();
  return AUDIO.test(stderr);
}

/** Whether a video is shown upright only after a quarter turn, as those of phones are: ffmpeg turns what it decodes. */
function isTurned(report: string): boolean {
  const degrees = Number(/rotation of (-?[\d.]+) degrees/.exec(report)?.[1] ?? 0);
  return Math.round(Math.abs(degrees) / 90) % 2 === 1;
}

function exactRate(printed: number): number {
  return NTSC.find((rate) => Math.abs(rate - printed) < 0.005) ?? printed;
}
