import type { FastifyInstance } from "fastify";
import type { Pool } from "pg";
import type { Logger } from "pino";
import type { GatewayAuth } from "../gateway/auth.ts";
import { bucketRoutes } from "./buckets.ts";
import type { StorageContext } from "./context.ts";
import { downloadRoutes, openDownloadRoutes } from "./downloads.ts";
import { StorageError } from "./errors.ts";
import { openStorageFiles } from "./files.ts";
import { createStorageMetadata } from "./metadata.ts";
import { objectRoutes } from "./objects.ts";
import { signedUploadRoutes, uploadRoutes } from "./uploads.ts";

export interface StorageOptions {
  readonly auth: GatewayAuth;
  readonly pool: Pool;
  readonly directory: string;
  readonly fileSizeLimitBytes: number;
  readonly publicBucket: string;
  readonly logger: Logger;
}

function answerErrors(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler<Error & { statusCode?: number; code?: string }>((error, request, reply) => {
    if (error instanceof StorageError) {
      return reply
        .code(error.status)
        .type("application/json")
        .send({ statusCode: String(error.status), error: error.code, message: error.message });
    }
    const path = request.url.split("?")[0];
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return reply
        .code(error.statusCode)
        .type("application/json")
        .send({
          statusCode: String(error.statusCode),
          error: "InvalidRequest",
          message: error.message,
        });
    }
    logger.error({ err: error, method: request.method, path }, "storage request failed");
    return reply
      .code(500)
      .type("application/json")
      .send({
        statusCode: "500",
        error: "InternalError",
        message:
          `Storage could not finish ${request.method} ${path}: its database or its disk failed. ` +
          "Try again; the gateway's log has the reason.",
      });
  });
}

/**
 * Serves storage-api under the app's prefix, with the bytes in `directory` and rows in `storage.buckets` and
 * `storage.objects`. An object's row is written only after its bytes. Makes `publicBucket` if it is missing.
 */
export async function registerStorage(app: FastifyInstance, options: StorageOptions): Promise<void> {
  const context: StorageContext = {
    auth: options.auth,
    pool: options.pool,
    metadata: createStorageMetadata(options.pool),
    files: await openStorageFiles(options.directory),
    fileSizeLimitBytes: options.fileSizeLimitBytes,
  };
  await context.metadata.ensurePublicBucket(options.publicBucket);

  answerErrors(app, options.logger);
  app.register(async (open) => openDownloadRoutes(open, context));
  app.register(async (open) => signedUploadRoutes(open, context));
  app.register(async (guarded) => {
    guarded.addHook("onRequest", async (request, reply) => {
      const problem = options.auth.callerProblem(request);
      if (problem !== null) {
        return reply.code(401).send(problem);
      }
    });
    bucketRoutes(guarded, context);
    objectRoutes(guarded, context);
    downloadRoutes(guarded, context);
    guarded.register(async (uploads) => uploadRoutes(uploads, context));
  });
}
