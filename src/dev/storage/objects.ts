import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { addressOf, bucketOf, isService, parseBody, requireService, type StorageContext } from "./context.ts";
import { storageErrors } from "./errors.ts";
import { listObjects, listRequest } from "./list.ts";
import type { ObjectRow } from "./metadata.ts";
import { checkObjectName } from "./names.ts";

/** A signed upload URL is valid for two hours, as on hosted Supabase. */
export const SIGNED_UPLOAD_LIFETIME_SEC = 2 * 60 * 60;

const removeBody = z.object({ prefixes: z.array(z.string()).min(1).max(1000) });
const signBody = z.object({ expiresIn: z.int().min(1) });
const signManyBody = signBody.extend({ paths: z.array(z.string()).min(1).max(500) });

function removedObject({ version: _version, user_metadata: _userMetadata, ...object }: ObjectRow) {
  return object;
}

/** Routes that list and remove objects, and that sign URLs. */
export function objectRoutes(app: FastifyInstance, context: StorageContext): void {
  listAndRemoveRoutes(app, context);
  signRoutes(app, context);
}

function listAndRemoveRoutes(app: FastifyInstance, context: StorageContext): void {
  const { metadata, files } = context;

  app.post("/object/list/:bucket", async (request) => {
    const body = parseBody(listRequest, request.body);
    return (await isService(context, request)) ? listObjects(context.pool, bucketOf(request), body) : [];
  });

  app.delete("/object/:bucket", async (request) => {
    const { prefixes } = parseBody(removeBody, request.body);
    if (!(await isService(context, request))) {
      return [];
    }
    const removed = await metadata.deleteObjects(bucketOf(request), prefixes);
    for (const { version } of removed) {
      await files.remove(version ?? "");
    }
    return removed.map(removedObject);
  });
}

function signRoutes(app: FastifyInstance, context: StorageContext): void {
  const { auth, metadata } = context;

  app.post("/object/upload/sign/:bucket/*", async (request) => {
    const { bucketId, name } = addressOf(request);
    await requireService(context, request);
    await metadata.bucket(bucketId);
    const upsert = request.headers["x-upsert"] === "true";
    if (!upsert && (await metadata.findObject(bucketId, name)) !== null) {
      throw storageErrors.duplicate();
    }
    const url = `${bucketId}/${name}`;
    const token = await auth.signGrant({ scope: "upload", url, upsert }, SIGNED_UPLOAD_LIFETIME_SEC);
    return { url: `/object/upload/sign/${encodeURI(url)}?token=${token}`, token };
  });

  const signDownload = async (url: string, lifetimeSec: number): Promise<string> =>
    `/object/sign/${url}?token=${await auth.signGrant({ scope: "download", url, upsert: false }, lifetimeSec)}`;

  app.post("/object/sign/:bucket/*", async (request) => {
    const { bucketId, name } = addressOf(request);
    const { expiresIn } = parseBody(signBody, request.body);
    const visible = (await isService(context, request)) && (await metadata.findObject(bucketId, name)) !== null;
    if (!visible) {
      throw storageErrors.objectNotFound();
    }
    return { signedURL: await signDownload(`${bucketId}/${name}`, expiresIn) };
  });

  app.post("/object/sign/:bucket", async (request) => {
    const bucketId = bucketOf(request);
    const { expiresIn, paths } = parseBody(signManyBody, request.body);
    const service = await isService(context, request);
    return Promise.all(
      paths.map(async (path) => {
        const found = service && (await metadata.findObject(bucketId, checkObjectName(path))) !== null;
        if (!found) {
          return {
            error: "Either the object does not exist or you do not have access to it",
            path,
            signedURL: null,
          };
        }
        return { error: null, path, signedURL: await signDownload(`${bucketId}/${path}`, expiresIn) };
      }),
    );
  });
}
