import type { Generated, NotHonoured } from "./engines/engine.ts";
import type { VideoFacts } from "./probe-video.ts";

/** Written to `tasks.result_data`. Figures about the video are measured in the file, not copied from the request. */
export interface ResultData {
  readonly video_url: string;
  readonly thumbnail_url: string;
  readonly duration_seconds: number;
  readonly file_size_bytes: number;
  readonly processing_time_seconds: number;
  readonly model_used: string;
  readonly generated_at: string;
  readonly engine: string;
  readonly frames: number;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  readonly attempt: number;
  readonly worker_id: string;
  readonly not_honoured: NotHonoured[];
}

export interface ResultInput {
  readonly videoUrl: string;
  readonly thumbnailUrl: string;
  readonly facts: VideoFacts;
  readonly fileSizeBytes: number;
  readonly claimedAtMs: number;
  readonly nowMs: number;
  readonly engine: string;
  readonly generated: Pick<Generated, "modelUsed" | "notHonoured">;
  readonly seed: number;
  readonly attempt: number;
  readonly workerId: string;
}

/** The result of a finished task. Times are in seconds, rounded to milliseconds. */
export function buildResult(input: ResultInput): ResultData {
  const { facts, generated } = input;
  return {
    video_url: input.videoUrl,
    thumbnail_url: input.thumbnailUrl,
    duration_seconds: toMillis(facts.frames / facts.fps),
    file_size_bytes: input.fileSizeBytes,
    processing_time_seconds: toMillis((input.nowMs - input.claimedAtMs) / 1_000),
    model_used: generated.modelUsed,
    generated_at: new Date(input.nowMs).toISOString(),
    engine: input.engine,
    frames: facts.frames,
    fps: facts.fps,
    width: facts.width,
    height: facts.height,
    seed: input.seed,
    attempt: input.attempt,
    worker_id: input.workerId,
    not_honoured: generated.notHonoured,
  };
}

function toMillis(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
