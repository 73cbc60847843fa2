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
import { allowedAttempt, attemptName, heldAttempt } from "./task-files.ts";
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

/** Checks the permission. Returns how to name the files: unchanged with a lease token, else with the attempt in them. */
async function authorize(upload: UploadRequest, caller: FunctionClient): Promise<(filename: string) => string> {
  if (upload.leaseToken === null) {
    const attempt = await heldAttempt(caller, upload.taskId);
    return (filename) => attemptName(filename, attempt);
  }
  const lease = { p_task_id: upload.taskId, p_lease_token: upload.leaseToken };
  allowedAttempt("authorize_upload", await callDatabase(caller, "authorize_upload", lease));
  return (filename) => filename;
}

async function sign(client: FunctionClient, bucket: string, path: string): Promise<SignedUpload> {
  const files = client.storage.from(bucket);
  let signed = await files.createSignedUploadUrl(path);
  // A worker that died after its upload and resumes the same lease finds the object there and may overwrite it.
  if (signed.error?.statusCode === "409") {
    signed = await files.createSignedUploadUrl(path, { upsert: true });
  }
  if (signed.data === null) {
    throw new Error(`cannot sign an upload of ${path}: ${signed.error?.message}`);
  }
  return { url: signed.data.signedUrl, token: signed.data.token, path };
}

/**
 * Gives the holder of a task's open lease a URL for the upload of its file, `{task_id}/{filename}`, and on request
 * another for a thumbnail. The database checks the caller's permission; the service key only signs. Answers 400 naming
 * the wrong field, 401 or 403 without permission, 405, and 503 when the database does not answer. Throws when signing
 * fails.
 */
export const generateUploadUrl: FunctionHandler = workerFunction(
  "generate-upload-url",
  async (body, caller, context) => {
    const upload = parse(body);
    const nameOf = await authorize(upload, caller);
    const expiresAt = new Date(Date.now() + SIGNED_UPLOAD_LIFETIME_MS).toISOString();
    const service = context.asService();
    const signed = (name: string) => sign(service, context.videoBucket, `${upload.taskId}/${nameOf(name)}`);
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
