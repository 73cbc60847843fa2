import type { Generated, NotHonoured } from "./engines/engine.ts";
import type { VideoFacts } from "./probe-video.ts";

/** What is written to `tasks.result_data`. Figures about the video are those of the file, not of the request. */
export interface ResultData {
  video_url: string;
  thumbnail_url: string;
  duration_seconds: number;
  file_size_bytes: number;
  processing_time_seconds: number;
  model_used: string;
  generated_at: string;
  engine: string;
  frames: number;
  fps: number;
  width: number;
  height: number;
  seed: number;
  attempt: number;
  worker_id: string;
  not_honoured: NotHonoured[];
}

export interface ResultInput {
  videoUrl: string;
  thumbnailUrl: string;
  facts: VideoFacts;
  fileSizeBytes: number;
  claimedAtMs: number;
  nowMs: number;
  engine: string;
  generated: Pick<Generated, "modelUsed" | "notHonoured">;
  seed: number;
  attempt: number;
  workerId: string;
}

/** The result of a finished task; times in seconds to the millisecond. */
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
