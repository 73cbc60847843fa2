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

/** Adds the attempt to a file's name, so that a worker whose lease has ended overwrites nothing. */
export function attemptName(filename: string, attempt: number): string {
  const dot = filename.lastIndexOf(".");
  return dot > 0 ? `${filename.slice(0, dot)}_a${attempt}${filename.slice(dot)}` : `${filename}_a${attempt}`;
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

/** The open attempt of a caller without a lease token. Throws a 403 with the reason when it has none. */
export async function heldAttempt(caller: FunctionClient, taskId: string): Promise<number> {
  const answer = await callDatabase(caller, "api_authorize_upload", { p_task_id: taskId });
  return allowedAttempt("api_authorize_upload", answer);
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

/** Stores bytes under the task's id with the service key, overwriting an object of that name. Returns the path. */
export async function storeFile(
  context: FunctionContext,
  taskId: string,
  filename: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const path = `${taskId}/${filename}`;
  const contentType = TYPES[filename.split(".").at(-1)!.toLowerCase()] ?? "application/octet-stream";
  const bucket = context.asService().storage.from(context.videoBucket);
  const { error } = await bucket.upload(path, bytes, { upsert: true, contentType });
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

/**
 * The path of an object in the bucket for videos, read from its public address on any host, with the name encoded or
 * not; null when it is not such an address.
 */
export function storedPath(context: FunctionContext, location: string): string | null {
  const marker = `/storage/v1/object/public/${context.videoBucket}/`;
  const at = location.indexOf(marker);
  if (at < 0) {
    return null;
  }
  try {
    return decodeURIComponent(location.slice(at + marker.length).split("?")[0]!);
  } catch {
    return null;
  }
}
