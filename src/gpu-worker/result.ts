import type { NotHonoured } from "./engines/engine.ts";
import type { VideoFacts } from "./video/probe-video.ts";

/** A file of the result, where it is from now on. */
export interface ResultFile {
  readonly location: string;
  readonly contentType: string;
}

export interface ResultInput {
  /** The main file first. */
  readonly files: readonly [ResultFile, ...ResultFile[]];
  readonly thumbnail: ResultFile | null;
  /** Measured in the main file; null: it is neither picture nor video. */
  readonly facts: VideoFacts | null;
  readonly fileSizeBytes: number;
  readonly claimedAtMs: number;
  readonly nowMs: number;
  readonly engine: string;
  readonly model: string | null;
  /** Null: the type has none. */
  readonly seed: number | null;
  readonly attempt: number;
  readonly workerId: string;
  readonly notHonoured: readonly NotHonoured[];
  /** Further keys, of the type's handler. None replaces one of these. */
  readonly more: Readonly<Record<string, unknown>>;
}

/**
 * Written to `tasks.result_data`. A video has `video_url`, `duration_seconds`, `frames` and `fps`; pictures have `image_url` and
 * `image_urls`; files of another kind `file_url`; further files that are no pictures beside a picture, `other_urls`.
 * Times are in seconds, rounded to milliseconds. Figures are measured in the file, not copied from the request.
 */
export function buildResult(input: ResultInput): Readonly<Record<string, unknown>> {
  const { facts, thumbnail } = input;
  return {
    ...input.more,
    ...urls(input.files),
    ...(thumbnail && { thumbnail_url: thumbnail.location }),
    ...(facts && isVideo(input.files[0]) && { duration_seconds: toMillis(facts.frames / facts.fps) }),
    file_size_bytes: input.fileSizeBytes,
    processing_time_seconds: toMillis((input.nowMs - input.claimedAtMs) / 1_000),
    model_used: input.model,
    generated_at: new Date(input.nowMs).toISOString(),
    engine: input.engine,
    ...(facts && isVideo(input.files[0]) && { frames: facts.frames, fps: facts.fps }),
    ...(facts && { width: facts.width, height: facts.height }),
    ...(input.seed !== null && { seed: input.seed }),
    attempt: input.attempt,
    worker_id: input.workerId,
    not_honoured: input.notHonoured,
  };
}

function urls(files: ResultInput["files"]): Record<string, unknown> {
  const [main, ...others] = files;
  const pictures = files.filter(isPicture).map(({ location }) => location);
  const rest = others.filter((file) => !isPicture(main) || !isPicture(file)).map(({ location }) => location);
  return {
    ...(isVideo(main) && { video_url: main.location }),
    ...(isPicture(main) && { image_url: main.location, image_urls: pictures }),
    ...(!isVideo(main) && !isPicture(main) && { file_url: main.location }),
    ...(rest.length > 0 && { other_urls: rest }),
  };
}

function isVideo({ contentType }: ResultFile): boolean {
  return contentType.startsWith("video/");
}

function isPicture({ contentType }: ResultFile): boolean {
  return contentType.startsWith("image/");
}

function toMillis(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
