import { callerHeaders, type FunctionClient, type FunctionContext, refusal } from "./function-context.ts";

interface UploadRequest {
  taskId: string;
  leaseToken: string;
  filename: string;
  thumbnailFilename: string | null;
}

interface SignedUpload {
  url: string;
  token: string;
  path: string;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FILENAME = /^[A-Za-z0-9._-]{1,200}$/;
const CONTENT_TYPE = /^[\w.+-]+\/[\w.+-]+(?:\s*;.*)?$/;
const SIGNED_UPLOAD_LIFETIME_MS = 2 * 60 * 60 * 1000;

function text(body: Record<string, unknown>, field: string, pattern: RegExp, wanted: string): string {
  const value = body[field];
  if (typeof value === "string" && pattern.test(value) && value !== "." && value !== "..") return value;
  throw new TypeError(`${field} must be ${wanted}`);
}

function parse(body: unknown): UploadRequest {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new TypeError("body must be a JSON object");
  }
  const fields = body as Record<string, unknown>;
  const filename = text(fields, "filename", FILENAME, "1 to 200 letters, digits, dots, hyphens or underscores");
  text(fields, "content_type", CONTENT_TYPE, "a mime type such as video/mp4");
  const wantsThumbnail = fields["generate_thumbnail_url"] ?? false;
  if (typeof wantsThumbnail !== "boolean") throw new TypeError("generate_thumbnail_url must be true or false");
  const thumbnail = {
    thumbnail_filename: fields["thumbnail_filename"] ?? `thumb_${filename.replace(/\.[^.]*$/, "").slice(0, 190)}.jpg`,
  };
  const thumbnailFilename = text(thumbnail, "thumbnail_filename", FILENAME, "a name like filename's, or absent");
  if (thumbnailFilename === filename) throw new TypeError("thumbnail_filename must differ from filename");
  return {
    taskId: text(fields, "task_id", UUID, "a UUID"),
    leaseToken: text(fields, "lease_token", UUID, "a UUID"),
    filename,
    thumbnailFilename: wantsThumbnail ? thumbnailFilename : null,
  };
}

/** Null when the lease is the caller's and open; the answer to give otherwise. */
async function refusedUpload(client: FunctionClient, upload: UploadRequest): Promise<Response | null> {
  const { data, error } = await client.rpc("authorize_upload", {
    p_task_id: upload.taskId,
    p_lease_token: upload.leaseToken,
  });
  if (error !== null) {
    if (error.code?.startsWith("PGRST3")) return refusal(401, "unauthorized", error.message);
    if (error.code === "42501") return refusal(403, "forbidden", error.message);
    return refusal(503, "database_error", `authorize_upload failed (${error.code || "no answer"}): ${error.message}`);
  }
  const { allowed, reason } = (data ?? {}) as { allowed?: unknown; reason?: unknown };
  if (typeof allowed !== "boolean") {
    return refusal(502, "unreadable_answer", "authorize_upload did not say whether the upload is allowed");
  }
  if (allowed) return null;
  return refusal(403, "upload_not_allowed", typeof reason === "string" ? reason : "the lease does not allow it");
}

async function sign(client: FunctionClient, bucket: string, path: string): Promise<SignedUpload> {
  const files = client.storage.from(bucket);
  let signed = await files.createSignedUploadUrl(path);
  // The object is there when a worker that died after its upload resumes the same lease: it may send it again.
  if (signed.error?.statusCode === "409") signed = await files.createSignedUploadUrl(path, { upsert: true });
  if (signed.data === null) throw new Error(`cannot sign an upload of ${path}: ${signed.error?.message}`);
  return { url: signed.data.signedUrl, token: signed.data.token, path };
}

/**
 * Hands the holder of a task's open lease an URL to upload its file to, `{task_id}/{filename}`, and on request one
 * more for a thumbnail. The database decides as the caller; the service key only signs. Answers 400 naming the bad
 * field, 401 and 403 for who may not, 405, 503 when the database does not answer. Throws when signing fails.
 */
export async function generateUploadUrl(request: Request, context: FunctionContext): Promise<Response> {
  if (request.method !== "POST") return refusal(405, "method_not_allowed", "generate-upload-url takes POST");
  let upload: UploadRequest;
  try {
    upload = parse(await request.json());
  } catch (error) {
    return refusal(400, "invalid_request", error instanceof TypeError ? error.message : "body must be a JSON object");
  }
  const refused = await refusedUpload(context.asCaller(callerHeaders(request)), upload);
  if (refused !== null) return refused;

  const expiresAt = new Date(Date.now() + SIGNED_UPLOAD_LIFETIME_MS).toISOString();
  const service = context.asService();
  const video = await sign(service, context.videoBucket, `${upload.taskId}/${upload.filename}`);
  const thumbnail =
    upload.thumbnailFilename === null
      ? null
      : await sign(service, context.videoBucket, `${upload.taskId}/${upload.thumbnailFilename}`);
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
}
