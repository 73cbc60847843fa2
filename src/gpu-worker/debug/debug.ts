import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Logger } from "pino";
import { probeVideo, type VideoFacts } from "../video/probe-video.ts";

/** Where in the pipeline a figure comes from. A field of the log's lines. */
export type DebugCategory =
  | "FRAME_DEBUG"
  | "SEGMENT_DEBUG"
  | "WGP_DEBUG"
  | "CHAIN_DEBUG"
  | "STITCH_DEBUG"
  | "CRITICAL_DEBUG"
  | "STITCH_FINAL_ANALYSIS";

/** What a file should be. Sizes in px; what is left out is not compared. */
export interface Expected {
  readonly frames?: number;
  readonly fps?: number;
  readonly width?: number;
  readonly height?: number;
}

export interface Step {
  readonly category: DebugCategory;
  /** In words, such as "after the saturation". */
  readonly step: string;
  /** The file's name. */
  readonly file: string;
  readonly frames: number;
  readonly fps: number;
  readonly duration_seconds: number;
  readonly width: number;
  readonly height: number;
  readonly file_size_bytes: number;
  /** Each in words, such as "frames: expected 81, got 80". */
  readonly mismatches: readonly string[];
}

/** Written to `result_data.analysis`. */
export interface Analysis {
  /** The last ones, where there were many. */
  readonly steps: readonly Step[];
  /** Of all steps. */
  readonly steps_measured: number;
  readonly mismatches: number;
}

/** Follows what a task's files become. It never fails the task. */
export interface Debug {
  /** Logs a figure or a choice. */
  note(category: DebugCategory, message: string, figures?: Readonly<Record<string, unknown>>): void;
  /** Measures a picture or video after a step. What differs from what was expected is a warning. */
  measure(category: DebugCategory, step: string, path: string, expected?: Expected): Promise<void>;
  /** What a picture or video is. It is read once, as long as the file stays the same. @throws Error as probeVideo does */
  factsOf(path: string): Promise<VideoFacts>;
  /** Null: nothing was measured. */
  analysis(): Analysis | null;
}

/** The result is a row of the database: it holds no more steps than these. */
const KEPT_STEPS = 100;
/** ffmpeg tells rates to two decimals. */
const FPS_TOLERANCE = 0.01;

export function createDebug(logger: Logger, ffmpegPath: string): Debug {
  const steps: Step[] = [];
  const known = new Map<string, { readonly version: string; readonly facts: VideoFacts }>();
  let measured = 0;
  let mismatches = 0;

  function add(step: Step): void {
    steps.push(step);
    steps.splice(0, steps.length - KEPT_STEPS);
    measured += 1;
    mismatches += step.mismatches.length;
  }

  async function factsOf(path: string): Promise<VideoFacts> {
    const { size, mtimeMs } = await stat(path);
    const version = `${size} ${mtimeMs}`;
    const last = known.get(path);
    if (last?.version === version) {
      return last.facts;
    }
    const facts = await probeVideo(path, ffmpegPath);
    known.set(path, { version, facts });
    return facts;
  }

  return {
    factsOf,
    note(category, message, figures) {
      logger.debug({ category, ...figures }, message);
    },
    async measure(category, name, path, expected = {}) {
      try {
        const step = { category, step: name, ...(await describe(path, await factsOf(path))), mismatches: [] };
        const found = differences(step, expected);
        add({ ...step, mismatches: found });
        if (found.length > 0) {
          logger.warn({ ...step, expected, mismatches: found }, `${name}: ${found.join("; ")}`);
        } else {
          logger.debug({ ...step, expected }, name);
        }
      } catch (error) {
        logger.warn({ category, err: error, file: basename(path) }, `${name}: the file could not be measured`);
      }
    },
    analysis: () => (measured === 0 ? null : { steps: [...steps], steps_measured: measured, mismatches }),
  };
}

async function describe(
  path: string,
  { frames, fps, width, height }: VideoFacts,
): Promise<Omit<Step, "category" | "step" | "mismatches">> {
  const { size } = await stat(path);
  return {
    file: basename(path),
    frames,
    fps,
    duration_seconds: Math.round((frames / fps) * 1_000) / 1_000,
    width,
    height,
    file_size_bytes: size,
  };
}

function differences(measured: Required<Expected>, expected: Expected): string[] {
  return (["frames", "fps", "width", "height"] as const).flatMap((name) => {
    const wanted = expected[name];
    const isEqual = wanted === undefined || Math.abs(measured[name] - wanted) <= (name === "fps" ? FPS_TOLERANCE : 0);
    return isEqual ? [] : [`${name}: expected ${wanted}, got ${measured[name]}`];
  });
}
