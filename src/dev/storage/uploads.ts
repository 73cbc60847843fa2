import type { FastifyInstance, FastifyRequest } from "fastify";
import { readUploadBody } from "./body.ts";
import { addressOf, type ObjectAddress, requireGrant, requireService, type StorageContext } from "./context.ts";
import { StorageError, storageErrors } from "./errors.ts";
import { mimeTypeAllowed } from "./names.ts";

const HTTP_OK = 200;

async function store(context: StorageContext, request: FastifyRequest, address: ObjectAddress, upsert: boolean) {
  const { metadata, files } = context;
  const bucket = await metadata.bucket(address.bucketId);
  if (!upsert && (await metadata.findObject(address.bucketId, address.name)) !== null) {
    throw storageErrors.duplicate();
  }
  const limitBytes = Math.min(bucket.file_size_limit ?? Infinity, context.fileSizeLimitBytes);
  const body = await readUploadBody(request, limitBytes);
  if (!mimeTypeAllowed(bucket.allowed_mime_types, body.mimetype)) {
    throw storageErrors.mimeType(body.mimetype);
  }
  const file = await files.receive(body.bytes, limitBytes);
  try {
    const { id, replacedVersion } = await metadata.putObject(
      {
        ...address,
        version: file.version,
        userMetadata: body.userMetadata,
        metadata: {
          eTag: `"${file.md5Hex}"`,
          size: file.sizeBytes,
          mimetype: body.mimetype,
          cacheControl: body.cacheControl,
          lastModified: new Date().toISOString(),
          contentLength: file.sizeBytes,
          httpStatusCode: HTTP_OK,
        },
      },
      upsert,
    );
    if (replacedVersion !== null) {
      await files.remove(replacedVersion);
    }
    return { Id: id, Key: `${address.bucketId}/${address.name}` };
  } catch (error) {
    // A StorageError is a definite refusal (such as two uploads of one name), so the bytes have no row. After any
    // other error, such as a lost connection, a row with these bytes may exist.
    if (error instanceof StorageError) {
      await files.remove(file.version);
    }
    throw error;
  }
}

function takeBodiesAsStreams(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
}

/** POST and PUT `/object/:bucket/*` for the service role. PUT overwrites, POST only with `x-upsert: true`. */
export function uploadRoutes(app: FastifyInstance, context: StorageContext): void {
  takeBodiesAsStreams(app);
  app.route({
    method: ["POST", "PUT"],
    url: "/object/:bucket/*",
    handler: async (request) => {
      const address = addressOf(request);
      await requireService(context, request);
      return store(context, request, address, request.method === "PUT" || request.headers["x-upsert"] === "true");
    },
  });
}

/** PUT `/object/upload/sign/:bucket/*?token=`: needs no key beside the token. */
export function signedUploadRoutes(app: FastifyInstance, context: StorageContext): void {
  takeBodiesAsStreams(app);
  app.put("/object/upload/sign/:bucket/*", async (request) => {
    const address = addressOf(request);
    const grant = await requireGrant(context, request, "upload", address);
    return store(context, request, address, grant.upsert);
  });
}
