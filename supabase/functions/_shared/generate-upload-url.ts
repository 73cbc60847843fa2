import { callDatabase } from "./failure.ts";
import {
  badField,
  type Body,
  filename as filenameOf,
  flag,
  optionalFilename,
  optionalText,
  text,
  UUID,
} from "./fields.ts";
import type { FunctionClient, FunctionHandler } from "./function-context.ts";
import { allowedAttempt, attemptName, isTaken, otherName } from "./task-files.ts";
import { workerFunction } from "./worker-function.ts";

interface UploadRequest {
  readonly taskId: string;
  readonly leaseToken: string | null;
  readonly filename: string;
  readonly thumbnailFilename: string | null;
}

interface SignedUpload {
  readonly url: string;
  readonly token: string;
  readonly path: string;
}

const CONTENT_TYPE = { pattern: /^[\w.+-]+\/[\w.+-]+(?:\s*;.*)?$/, wanted: "a mime type such as video/mp4" };
const SIGNED_UPLOAD_LIFETIME_MS = 2 * 60 * 60 * 1000;

function parse(body: Body): UploadRequest {
  const filename = filenameOf(body, "filename");
  text(body, "content_type", CONTENT_TYPE);
  const wantsThumbnail = flag(body, "generate_thumbnail_url");
  const thumbnailFilename =
    optionalFilename(body, "thumbnail_filename") ?? `thumb_${filename.replace(/\.[^.]*$/, "").slice(0, 190)}.jpg`;
  if (thumbnailFilename === filename) {
    throw badField("thumbnail_filename", "another name than filename");
  }
  return {
    taskId: text(body, "task_id", UUID),
    leaseToken: optionalText(body, "lease_token", UUID),
    filename,
    thumbnailFilename: wantsThumbnail ? thumbnailFilename : null,
  };
}

/** Checks the permission. Returns the number of the attempt. */
async function authorize({ taskId, leaseToken }: UploadRequest, caller: FunctionClient): Promise<number> {
  const name = leaseToken === null ? "api_authorize_upload" : "authorize_upload";
  const lease = { p_task_id: taskId, ...(leaseToken !== null && { p_lease_token: leaseToken }) };
  return allowedAttempt(name, await callDatabase(caller, name, lease));
}

/** A signed address is valid for hours and cannot be taken back, so none may replace a file that stands. */
async function sign(client: FunctionClient, bucket: string, taskId: string, filename: string): Promise<SignedUpload> {
  const files = client.storage.from(bucket);
  let path = `${taskId}/${filename}`;
  let signed = await files.createSignedUploadUrl(path);
  // A worker that died after its upload and resumes the same lease finds the object there.
  if (isTaken(signed.error)) {
    path = `${taskId}/${otherName(filename)}`;
    signed = await files.createSignedUploadUrl(path);
  }
  if (signed.data === null) {
    throw new Error(`cannot sign an upload of ${path}: ${signed.error?.message}`);
  }
  return { url: signed.data.signedUrl, token: signed.data.token, path };
}

/**
 * Gives the holder of a task's open lease a URL for the upload of its file, and on request another for a thumbnail. Their names
 * carry the attempt, and are in the answer. No address replaces a file. The database checks the caller's permission; the service key only signs. Answers 400 naming
 * the wrong field, 401 or 403 without permission, 405, and 503 when the database does not answer. Throws when signing
 * fails.
 */
export const generateUploadUrl: FunctionHandler = workerFunction(
  "generate-upload-url",
  async (body, caller, context) => {
    const upload = parse(body);
    const attempt = await authorize(upload, caller);
    const expiresAt = new Date(Date.now() + SIGNED_UPLOAD_LIFETIME_MS).toISOString();
    const service = context.asService();
    const signed = (name: string) => sign(service, context.videoBucket, upload.taskId, attemptName(name, attempt));
    const video = await signed(upload.filename);
    const thumbnail = upload.thumbnailFilename === null ? null : await signed(upload.thumbnailFilename);
    return Response.json({
      upload_url: video.url,
      storage_path: video.path,
      token: video.token,
      expires_at: expiresAt,
      ...(thumbnail !== null && {
        thumbnail_upload_url: thumbnail.url,
        thumbnail_token: thumbnail.token,
        thumbnail_storage_path: thumbnail.path,
      }),
    });
  },
);
