import { realpath } from "node:fs/promises";
import { basename, dirname, extname, join, sep } from "node:path";
import type { OutputFile } from "./queue/file-store.ts";
import { identityOf, openResult } from "./queue/open-output.ts";
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

/** @throws Error naming the file when it is not there, empty, a link, or outside the task's folder */
export async function describeFile(path: string, workDir: string): Promise<OutputFile> {
  const { handle, stats } = await openResult(path);
  await handle.close();
  const [folder, own] = await Promise.all([realpath(dirname(path)), realpath(workDir)]);
  if (folder !== own && !folder.startsWith(own + sep)) {
    throw new Error(`the result file ${basename(path)} does not lie in the folder of its task`);
  }
  if (stats.size === 0) {
    throw new Error(`the result file ${basename(path)} is empty`);
  }
  const described = { path, filename: basename(path), contentType: contentTypeOf(path) };
  return { ...described, sizeBytes: stats.size, identity: identityOf(stats) };
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
