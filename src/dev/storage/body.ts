import { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { storageErrors } from "./errors.ts";

/** An upload, independent of the form in which the client sent it. */
export interface UploadBody {
  readonly bytes: Readable;
  readonly mimetype: string;
  readonly cacheControl: string;
  readonly userMetadata: Record<string, unknown> | null;
}

const MULTIPART_ENVELOPE_BYTES = 64 * 1024;

function parseUserMetadata(text: string | null): Record<string, unknown> | null {
  if (text === null) {
    return null;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // JSON that is no object is refused below, and so is this value.
  }
  throw storageErrors.invalidRequest("metadata must be a JSON object");
}

async function collect(source: Readable, limitBytes: number): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes <= limitBytes) {
      chunks.push(chunk);
    }
  }
  if (sizeBytes > limitBytes) {
    throw storageErrors.tooLarge();
  }
  return Buffer.concat(chunks);
}

async function readMultipart(request: FastifyRequest, contentType: string, limitBytes: number): Promise<UploadBody> {
  const body = await collect(request.raw, limitBytes + MULTIPART_ENVELOPE_BYTES);
  let form: FormData;
  try {
    form = await new Response(body, { headers: { "content-type": contentType } }).formData();
  } catch {
    throw storageErrors.invalidRequest("The multipart body could not be read; send multipart/form-data with one file");
  }
  const field = (name: string): string | null => {
    const value = form.get(name);
    return typeof value === "string" ? value : null;
  };
  const file = [...form.values()].find((value) => typeof value !== "string");
  if (file === undefined) {
    throw storageErrors.invalidRequest("The multipart body holds no file");
  }
  const cacheSeconds = field("cacheControl");
  return {
    bytes: Readable.from([Buffer.from(await file.arrayBuffer())]),
    mimetype: field("contentType") ?? (file.type || "application/octet-stream"),
    cacheControl: cacheSeconds === null ? "no-cache" : `max-age=${cacheSeconds}`,
    userMetadata: parseUserMetadata(field("metadata")),
  };
}

/**
 * Reads an upload as storage-js sends it: multipart for Blob, File and FormData (read into memory, at most
 * `limitBytes`), everything else as a raw stream.
 * @throws StorageError 400 when it cannot be read, 413 beyond the limit.
 */
export async function readUploadBody(request: FastifyRequest, limitBytes: number): Promise<UploadBody> {
  const contentType = request.headers["content-type"];
  if (contentType?.startsWith("multipart/form-data")) {
    return readMultipart(request, contentType, limitBytes);
  }
  if (Number(request.headers["content-length"] ?? 0) > limitBytes) {
    throw storageErrors.tooLarge();
  }
  const encoded = request.headers["x-metadata"];
  return {
    bytes: request.raw,
    mimetype: contentType ?? "application/octet-stream",
    cacheControl: request.headers["cache-control"] ?? "no-cache",
    userMetadata: parseUserMetadata(typeof encoded === "string" ? Buffer.from(encoded, "base64").toString() : null),
  };
}
