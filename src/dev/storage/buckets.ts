import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { bucketOf, isService, parseBody, requireService, type StorageContext } from "./context.ts";
import { storageErrors } from "./errors.ts";
import type { BucketRow, BucketSettings } from "./metadata.ts";
import { checkBucketName, parseSizeLimitBytes } from "./names.ts";

const bucketBody = z.object({
  public: z.boolean().optional(),
  file_size_limit: z.union([z.number(), z.string()]).nullish(),
  allowed_mime_types: z.array(z.string()).nullish(),
});
const newBucketBody = bucketBody.extend({ id: z.string().optional(), name: z.string() });

/** Settings that are missing in the body keep their present value. */
function settingsOf(
  body: z.infer<typeof bucketBody>,
  present: Pick<BucketRow, "public" | "file_size_limit" | "allowed_mime_types">,
): BucketSettings {
  return {
    public: body.public ?? present.public,
    fileSizeLimitBytes:
      body.file_size_limit === undefined ? present.file_size_limit : parseSizeLimitBytes(body.file_size_limit),
    allowedMimeTypes: body.allowed_mime_types === undefined ? present.allowed_mime_types : body.allowed_mime_types,
  };
}

/** `/bucket`: create, list, get, update, empty, delete. Only the service role sees buckets. */
export function bucketRoutes(app: FastifyInstance, context: StorageContext): void {
  const { metadata, files } = context;

  app.post("/bucket", async (request) => {
    await requireService(context, request);
    const body = parseBody(newBucketBody, request.body);
    const id = checkBucketName(body.id ?? body.name);
    await metadata.createBucket(
      id,
      settingsOf(body, { public: false, file_size_limit: null, allowed_mime_types: null }),
    );
    return { name: id };
  });

  app.get("/bucket", async (request) => ((await isService(context, request)) ? metadata.listBuckets() : []));

  app.get("/bucket/:bucket", async (request) => {
    if (!(await isService(context, request))) {
      throw storageErrors.bucketNotFound();
    }
    return metadata.bucket(bucketOf(request));
  });

  app.put("/bucket/:bucket", async (request) => {
    await requireService(context, request);
    const present = await metadata.bucket(bucketOf(request));
    await metadata.updateBucket(present.id, settingsOf(parseBody(bucketBody, request.body), present));
    return { message: "Successfully updated" };
  });

  app.post("/bucket/:bucket/empty", async (request) => {
    await requireService(context, request);
    const { id } = await metadata.bucket(bucketOf(request));
    for (const { version } of await metadata.deleteAllObjects(id)) {
      await files.remove(version ?? "");
    }
    return { message: "Successfully emptied" };
  });

  app.delete("/bucket/:bucket", async (request) => {
    await requireService(context, request);
    const { id } = await metadata.bucket(bucketOf(request));
    await metadata.deleteBucket(id);
    return { message: "Successfully deleted" };
  });
}
