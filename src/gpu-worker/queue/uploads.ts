import { openAsBlob } from "node:fs";
import { type SupabaseClient, FunctionsHttpError } from "@supabase/supabase-js";
import { z } from "zod";
import type { OutputFile } from "./file-store.ts";
import { withOutput } from "./open-output.ts";
import type { Outages } from "./outages.ts";
import { QueueError, kindOf } from "./queue-error.ts";
import type { Lease } from "./queue.ts";

/** Permission to write one object. */
export interface UploadGrant {
  readonly storagePath: string;
  readonly token: string;
}

/** Storage as this worker sees it. Every call throws QueueError; none retries by itself. */
export interface Uploads {
  /** Asks for permission to store a file and a thumbnail; null where the answer has none for the thumbnail. */
  authorize(lease: Lease, file: OutputFile, thumbnail?: OutputFile): Promise<[UploadGrant, UploadGrant | null]>;
  put(file: OutputFile, grant: UploadGrant): Promise<void>;
  publicUrl(storagePath: string): string;
  /** The size in bytes that the object's public address answers; null when there is no such object. */
  storedSize(storagePath: string): Promise<number | null>;
}

const grantAnswer = z.object({
  storage_path: z.string(),
  token: z.string(),
  thumbnail_storage_path: z.string().optional(),
  thumbnail_token: z.string().optional(),
});

const errorAnswer = z.object({ error: z.string(), message: z.string() }).partial();

const AUTHORIZE = "generate-upload-url";
const PUT = "upload";
const DUPLICATE = 409;
const VERIFY = "reading the uploaded file's size";

type StorageClient = Pick<SupabaseClient, "storage" | "functions">;

export function createUploads(client: StorageClient, bucket: string, outages: Outages): Uploads {
  const storage = client.storage.from(bucket);
  const publicUrl = (storagePath: string) => storage.getPublicUrl(storagePath).data.publicUrl;

  function failure(kind: QueueError["kind"], operation: string, status: number, detail: string): QueueError {
    const error = new QueueError(kind, operation, status, detail);
    outages.failed(error);
    return error;
  }

  return {
    publicUrl,
    async authorize(lease, file, thumbnail) {
      const { data, error } = await client.functions.invoke<unknown>(AUTHORIZE, {
        body: grantRequest(lease, file, thumbnail),
      });
      if (error) {
        throw failure(...(await readFunctionError(error)));
      }
      outages.answered(AUTHORIZE);
      const parsed = grantAnswer.safeParse(data);
      if (!parsed.success) {
        throw failure("rejected", AUTHORIZE, 200, `the answer cannot be read: ${z.prettifyError(parsed.error)}`);
      }
      return toGrants(parsed.data);
    },
    async put(file, grant) {
      const { error } = await send(storage, file, grant);
      if (error) {
        const status = uploadStatus(error);
        throw failure(kindOfUpload(status), PUT, status, `${grant.storagePath}: ${error.message}`);
      }
      outages.answered(PUT);
    },
    async storedSize(storagePath) {
      const url = publicUrl(storagePath);
      const response = await requestHead(url).catch((error: unknown) => {
        throw failure("unreachable", VERIFY, 0, `${url}: ${String(error)}`);
      });
      const { status } = response;
      if (status >= 500 || status === 429) {
        throw failure("unavailable", VERIFY, status, url);
      }
      outages.answered(VERIFY);
      // Hosted Supabase answers 400, not 404, for a missing object.
      if (status === 404 || status === 400) {
        return null;
      }
      const length = response.headers.get("content-length");
      if (!response.ok || length === null) {
        throw failure("rejected", VERIFY, status, `the answer of ${url} has no size`);
      }
      return Number(length);
    },
  };
}

type Bucket = ReturnType<StorageClient["storage"]["from"]>;

/** The body reads from the open file as it is sent, so a long video is never held in memory, and another file never sent. */
async function send(bucket: Bucket, file: OutputFile, { storagePath, token }: UploadGrant) {
  const { contentType } = file;
  return await withOutput(file, async ({ fd }) => {
    const path = process.platform === "linux" ? `/proc/self/fd/${fd}` : file.path;
    const body = await openAsBlob(path, { type: contentType });
    return await bucket.uploadToSignedUrl(storagePath, token, body, { contentType });
  });
}

function grantRequest(lease: Lease, file: OutputFile, thumbnail: OutputFile | undefined) {
  return {
    task_id: lease.taskId,
    lease_token: lease.leaseToken,
    filename: file.filename,
    content_type: file.contentType,
    generate_thumbnail_url: thumbnail !== undefined,
    ...(thumbnail && { thumbnail_filename: thumbnail.filename }),
  };
}

function toGrants(answer: z.infer<typeof grantAnswer>): [UploadGrant, UploadGrant | null] {
  const { storage_path: storagePath, token, thumbnail_storage_path: path, thumbnail_token: thumbnailToken } = answer;
  return [{ storagePath, token }, path && thumbnailToken ? { storagePath: path, token: thumbnailToken } : null];
}

async function requestHead(url: string): Promise<Response> {
  // Without this header, content-length may be that of a compressed body.
  const headers = { "accept-encoding": "identity" };
  return await fetch(url, { method: "HEAD", headers, signal: AbortSignal.timeout(15_000) });
}

async function readFunctionError(error: unknown): Promise<[QueueError["kind"], string, number, string]> {
  if (!(error instanceof FunctionsHttpError)) {
    return ["unreachable", AUTHORIZE, 0, describeCause(error)];
  }
  const response = error.context as Response;
  const body = errorAnswer.safeParse(await readJson(response)).data;
  const detail = body?.message ?? body?.error ?? response.statusText;
  return [kindOfUpload(response.status), AUTHORIZE, response.status, detail];
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function describeCause(error: unknown): string {
  const cause = error instanceof Error && "context" in error ? error.context : error;
  return cause instanceof Error ? `${cause.message} ${cause.cause instanceof Error ? cause.cause.message : ""}` : "";
}

/** Storage may answer HTTP 400 with the true status in the body. */
function uploadStatus(error: { status: number | undefined; statusCode: string | undefined; message: string }): number {
  if (/already exists/i.test(error.message)) {
    return DUPLICATE;
  }
  const inBody = Number(error.statusCode);
  return inBody >= 400 && inBody < 600 ? inBody : (error.status ?? 0);
}

/** Storage's 401 and 403 concern one object or one lease. Only the database says that the worker's credential is dead. */
function kindOfUpload(status: number): QueueError["kind"] {
  if (status === DUPLICATE) {
    return "duplicate";
  }
  const kind = kindOf(status, "");
  return kind === "refused" ? "rejected" : kind;
}
