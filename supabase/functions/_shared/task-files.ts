import { storableText } from "./text.ts";
import { callDatabase, FunctionFailure } from "./failure.ts";
import type { FunctionClient, FunctionContext } from "./function-context.ts";

const TYPES: Record<string, string> = {
  mp4: "video/mp4",
  webm: "video/webm",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  json: "application/json",
};

/** The last mark of an attempt in a name without its ending. */
const MARK = /^.*_a(\d+)(?:[_.-].*)?$/;
const TAKEN = "409";

/** Puts a text before the ending of a file's name. */
function beforeEnding(filename: string, text: string): string {
  const dot = filename.lastIndexOf(".");
  return dot > 0 ? `${filename.slice(0, dot)}${text}${filename.slice(dot)}` : `${filename}${text}`;
}

/**
 * The name under which an attempt stores a file: `out.mp4` becomes `out_a1.mp4`. One whose last mark is that of the attempt stays
 * as it is. So no attempt has a name that another attempt could get.
 */
export function attemptName(filename: string, attempt: number): string {
  const dot = filename.lastIndexOf(".");
  const mark = MARK.exec(dot > 0 ? filename.slice(0, dot) : filename)?.[1];
  return mark === String(attempt) ? filename : beforeEnding(filename, `_a${attempt}`);
}

/** Another name of the same attempt, for a file whose own name is taken: a file that stands is never replaced. */
export function otherName(filename: string): string {
  return beforeEnding(filename, `-${crypto.randomUUID().slice(0, 8)}`);
}

/** Whether storage refused because there is an object of that name. */
export function isTaken(error: { readonly statusCode?: string | undefined } | null): boolean {
  return error?.statusCode === TAKEN;
}

export interface OwnAttempt {
  readonly attempt: number;
  /** The caller has completed the task with this attempt: it repeats a request whose answer was lost. */
  readonly isCompleted: boolean;
}

/** The caller's attempt, open or completed. Throws a 403 with the reason when it has none, or another end. */
export async function ownAttempt(
  caller: FunctionClient,
  taskId: string,
  leaseToken: string | null,
): Promise<OwnAttempt> {
  const lease = { p_task_id: taskId, p_lease_token: leaseToken };
  const answer = await callDatabase(caller, "api_authorize_upload", lease);
  if (answer["completed"] === true && typeof answer["attempt"] === "number") {
    return { attempt: answer["attempt"], isCompleted: true };
  }
  return { attempt: allowedAttempt("api_authorize_upload", answer), isCompleted: false };
}

/** Reads the database's answer about an upload. Throws a 403 with the reason, or a 502 when it cannot be read. */
export function allowedAttempt(name: string, answer: Record<string, unknown>): number {
  const { allowed, reason, attempt } = answer;
  if (allowed === true && typeof attempt === "number") {
    return attempt;
  }
  if (typeof allowed !== "boolean") {
    throw new FunctionFailure(502, "unreadable_answer", `${name} did not say whether the upload is allowed`);
  }
  const why = typeof reason === "string" ? reason : "the lease does not allow it";
  throw new FunctionFailure(403, "upload_not_allowed", why);
}

/** Stores bytes under the task's id with the service key, and never over another file. Returns the path. */
export async function storeFile(
  context: FunctionContext,
  taskId: string,
  filename: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const contentType = TYPES[filename.split(".").at(-1)!.toLowerCase()] ?? "application/octet-stream";
  const bucket = context.asService().storage.from(context.videoBucket);
  const upload = (path: string) => bucket.upload(path, bytes, { upsert: false, contentType });
  let path = `${taskId}/${filename}`;
  let { error } = await upload(path);
  if (isTaken(error)) {
    path = `${taskId}/${otherName(filename)}`;
    ({ error } = await upload(path));
  }
  if (error?.statusCode === "413" || error?.statusCode === "429") {
    throw new FunctionFailure(Number(error.statusCode), "refused", `cannot store ${path}: ${error.message}`);
  }
  if (error !== null) {
    throw new FunctionFailure(503, "storage_error", `cannot store ${path}: ${error.message}. Try again`);
  }
  return path;
}

/** The public address of an object of the bucket for videos. */
export function publicUrl(context: FunctionContext, path: string): string {
  // Half a character cannot be encoded in a URL.
  return context.asService().storage.from(context.videoBucket).getPublicUrl(storableText(path)).data.publicUrl;
}

const PUBLIC_ADDRESS = /^https?:\/\/[^/?#@\\\s]+(?:\/[^?#\\\s]*)?\/storage\/v1\/object\/public\/([^/?#]+)\/([^?#]+)/i;

/**
 * The path of an object in the bucket for videos, read from its public address on any host, with the name encoded or
 * not; null when it is not such an address.
 */
export function storedPath(context: FunctionContext, location: string): string | null {
  const [, bucket, name] = PUBLIC_ADDRESS.exec(location) ?? [];
  if (bucket !== context.videoBucket || name === undefined) {
    return null;
  }
  try {
    return decodeURIComponent(name);
  } catch {
    return null;
  }
}
