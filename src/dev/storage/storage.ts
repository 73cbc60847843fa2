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
  auth: GatewayAuth;
  pool: Pool;
  directory: string;
  fileSizeLimitBytes: number;
  publicBucket: string;
  logger: Logger;
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
        message: `Storage could not finish ${request.method} ${path}: its database or its disk failed, see the gateway's log; try again`,
      });
  });
}

/**
 * Serves storage-api under the app's prefix: bytes in `directory`, rows in `storage.buckets` and `storage.objects`,
 * where an object's row appears only after its bytes are in place. Makes `publicBucket` if it is missing.
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
