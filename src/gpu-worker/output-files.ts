import { stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import type { OutputFile } from "./queue/file-store.ts";
import { type Ffmpeg } from "./video/ffmpeg.ts";
import { makeThumbnail } from "./video/thumbnail.ts";

/** By the file names' endings. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".mp4": "video/mp4",
  ".webm": "video/webm",
  ".mov": "video/quicktime",
  ".mkv": "video/x-matroska",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".webp": "image/webp",
  ".gif": "image/gif",
  ".wav": "audio/wav",
  ".mp3": "audio/mpeg",
  ".json": "application/json",
  ".txt": "text/plain",
  ".zip": "application/zip",
};

/** @throws Error naming the file when it is not there or empty */
export async function describeFile(path: string): Promise<OutputFile> {
  const { size: sizeBytes } = await stat(path);
  if (sizeBytes === 0) {
    throw new Error(`the result file ${basename(path)} is empty`);
  }
  return { path, filename: basename(path), contentType: contentTypeOf(path), sizeBytes };
}

export function contentTypeOf(path: string): string {
  return CONTENT_TYPES[extname(path).toLowerCase()] ?? "application/octet-stream";
}

/** Whether a file can be shown: it has a size in px, and a thumbnail. */
export function isVisual(path: string): boolean {
  return /^(?:video|image)\//.test(contentTypeOf(path));
}

/** The given thumbnail, or one that is made of the file; null: the file has nothing to show. */
export async function thumbnailOf(ffmpeg: Ffmpeg, main: string, given: string | undefined, workDir: string) {
  if (given !== undefined || !isVisual(main)) {
    return given ?? null;
  }
  const path = join(workDir, `${basename(main, extname(main))}_thumb.jpg`);
  await makeThumbnail(ffmpeg, main, path);
  return path;
}
