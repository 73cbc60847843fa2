import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { addressOf, isService, type ObjectAddress, requireGrant, type StorageContext } from "./context.ts";
import { storageErrors } from "./errors.ts";
import type { ObjectMetadata, ObjectRow } from "./metadata.ts";
import { parseRange } from "./names.ts";
import { shownAs } from "./shown-types.ts";

function headersOf(request: FastifyRequest, object: ObjectRow, metadata: ObjectMetadata): Record<string, string> {
  const headers: Record<string, string> = {
    ...shownAs(metadata),
    "accept-ranges": "bytes",
    etag: metadata.eTag,
    "last-modified": new Date(metadata.lastModified).toUTCString(),
  };
  const { download } = request.query as { download?: unknown };
  if (typeof download === "string") {
    const filename = download === "" ? object.name.slice(object.name.lastIndexOf("/") + 1) : download;
    headers["content-disposition"] = `attachment; filename*=UTF-8''${encodeURIComponent(filename)}`;
  }
  return headers;
}

async function send(context: StorageContext, request: FastifyRequest, reply: FastifyReply, address: ObjectAddress) {
  const object = await context.metadata.findObject(address.bucketId, address.name);
  if (object?.metadata == null || object.version === null) {
    throw storageErrors.objectNotFound();
  }
  const { metadata } = object;
  reply.headers(headersOf(request, object, metadata));
  if (request.headers["if-none-match"] === metadata.eTag) {
    return reply.code(304).send();
  }
  const validator = request.headers["if-range"];
  const wanted = validator === undefined || validator === metadata.eTag ? request.headers.range : undefined;
  let range;
  try {
    range = parseRange(wanted, metadata.size);
  } catch (error) {
    reply.header("content-range", `bytes */${metadata.size}`);
    throw error;
  }
  // An overwrite since the row was read has deleted this version's bytes; then the row names another version.
  const bytes = await context.files.open(object.version, range);
  if (bytes === null) {
    const again = await context.metadata.findObject(address.bucketId, address.name);
    if (again === null || again.version === object.version) {
      throw storageErrors.objectNotFound();
    }
    return send(context, request, reply, address);
  }
  reply.header("content-length", String(range === null ? metadata.size : range.end - range.start + 1));
  if (range !== null) {
    reply.code(206).header("content-range", `bytes ${range.start}-${range.end}/${metadata.size}`);
  }
  if (request.method !== "HEAD") {
    return reply.send(bytes);
  }
  bytes.destroy();
  return reply.send();
}

function infoOf(object: ObjectRow | null): Record<string, unknown> {
  if (object === null) {
    throw storageErrors.objectNotFound();
  }
  return {
    id: object.id,
    name: object.name,
    version: object.version,
    bucket_id: object.bucket_id,
    size: object.metadata?.size ?? null,
    content_type: object.metadata?.mimetype ?? null,
    cache_control: object.metadata?.cacheControl ?? null,
    etag: object.metadata?.eTag ?? null,
    metadata: object.user_metadata,
    last_modified: object.updated_at,
    created_at: object.created_at,
  };
}

/** Routes that need no key: they read objects of public buckets and serve signed URLs. */
export function openDownloadRoutes(app: FastifyInstance, context: StorageContext): void {
  const publicAddress = async (request: FastifyRequest): Promise<ObjectAddress> => {
    const address = addressOf(request);
    if (!(await context.metadata.bucket(address.bucketId)).public) {
      throw storageErrors.bucketNotFound();
    }
    return address;
  };
  app.route({
    method: ["GET", "HEAD"],
    url: "/object/public/:bucket/*",
    handler: async (request, reply) => send(context, request, reply, await publicAddress(request)),
  });
  app.get("/object/info/public/:bucket/*", async (request) => {
    const { bucketId, name } = await publicAddress(request);
    return infoOf(await context.metadata.findObject(bucketId, name));
  });
  app.route({
    method: ["GET", "HEAD"],
    url: "/object/sign/:bucket/*",
    handler: async (request, reply) => {
      const address = addressOf(request);
      await requireGrant(context, request, "download", address);
      return send(context, request, reply, address);
    },
  });
}

/** Routes that need a key. Other roles than the service role get 404, as under row-level security. */
export function downloadRoutes(app: FastifyInstance, context: StorageContext): void {
  const visibleAddress = async (request: FastifyRequest): Promise<ObjectAddress> => {
    const address = addressOf(request);
    if (!(await isService(context, request))) {
      throw storageErrors.objectNotFound();
    }
    return address;
  };
  for (const url of ["/object/:bucket/*", "/object/authenticated/:bucket/*"]) {
    app.route({
      method: ["GET", "HEAD"],
      url,
      handler: async (request, reply) => send(context, request, reply, await visibleAddress(request)),
    });
  }
  for (const url of ["/object/info/:bucket/*", "/object/info/authenticated/:bucket/*"]) {
    app.get(url, async (request) => {
      const { bucketId, name } = await visibleAddress(request);
      return infoOf(await context.metadata.findObject(bucketId, name));
    });
  }
}
