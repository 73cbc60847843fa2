import { validateHeaderValue } from "node:http";
import type { ObjectMetadata } from "./metadata.ts";

/** Types that a browser may show in place: pictures, films and sound that hold no script. SVG and PDF do. */
const SHOWN = new Set([
  ...["apng", "avif", "bmp", "gif", "heic", "heif", "jpeg", "png", "tiff", "webp"].map((kind) => `image/${kind}`),
  ...["mp4", "mpeg", "ogg", "quicktime", "webm", "x-matroska", "x-msvideo"].map((kind) => `video/${kind}`),
  ...["aac", "flac", "mp4", "mpeg", "ogg", "wav", "webm", "x-wav"].map((kind) => `audio/${kind}`),
]);

const NEUTRAL = "application/octet-stream";

/**
 * How a stored file is sent, whatever its uploader said of it. A file that is no picture, film or sound is bytes to be
 * saved: as a page or a script it would act in the name of this origin.
 */
export function shownAs({ mimetype, cacheControl }: ObjectMetadata): Record<string, string> {
  const type = /^[^;]*/.exec(String(mimetype))![0].trim().toLowerCase();
  const kept = { "cache-control": isHeaderValue(cacheControl) ? cacheControl : "no-cache" };
  if (!SHOWN.has(type)) {
    return { ...kept, "content-type": NEUTRAL, "content-disposition": "attachment" };
  }
  const policy = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox";
  return { ...kept, "content-type": type, "content-security-policy": policy };
}

function isHeaderValue(value: unknown): boolean {
  try {
    validateHeaderValue("cache-control", value as string);
    return true;
  } catch {
    return false;
  }
}
