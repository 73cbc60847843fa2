import type { FastifyRequest } from "fastify";
import type { Pool } from "pg";
import type { z } from "zod";
import type { GatewayAuth, ObjectGrant } from "../gateway/auth.ts";
import { storageErrors } from "./errors.ts";
import type { StorageFiles } from "./files.ts";
import type { StorageMetadata } from "./metadata.ts";
import { checkBucketName, checkObjectName } from "./names.ts";

/** Shared by all storage routes. */
export interface StorageContext {
  readonly auth: GatewayAuth;
  readonly pool: Pool;
  readonly metadata: StorageMetadata;
  readonly files: StorageFiles;
  readonly fileSizeLimitBytes: number;
}

export interface ObjectAddress {
  readonly bucketId: string;
  readonly name: string;
}

/** Bucket and object name of a request to `…/:bucket/*`. Throws InvalidKey or InvalidBucketName (400). */
export function addressOf(request: FastifyRequest): ObjectAddress {
  const params = request.params as { bucket: string; "*": string };
  return { bucketId: checkBucketName(params.bucket), name: checkObjectName(params["*"]) };
}

/** The bucket of a request to `…/:bucket`. Throws InvalidBucketName (400). */
export function bucketOf(request: FastifyRequest): string {
  return checkBucketName((request.params as { bucket: string }).bucket);
}

/**
 * Whether the caller may do more than read public objects and use signed URLs. Only the service role may, because no
 * policy on `storage.objects` grants anything to other roles. Throws Unauthorized (403) for a forged token.
 */
export async function isService(context: StorageContext, request: FastifyRequest): Promise<boolean> {
  try {
    return await context.auth.isServiceRole(request);
  } catch (error) {
    throw storageErrors.badToken((error as Error).message);
  }
}

/** Throws Unauthorized (403) unless the caller is the service role. */
export async function requireService(context: StorageContext, request: FastifyRequest): Promise<void> {
  if (!(await isService(context, request))) {
    throw storageErrors.forbidden();
  }
}

/** The grant in `?token=`. Throws InvalidSignature (400) unless it is for this verb and this object. */
export async function requireGrant(
  context: StorageContext,
  request: FastifyRequest,
  scope: ObjectGrant["scope"],
  address: ObjectAddress,
): Promise<ObjectGrant> {
  const { token } = request.query as { token?: unknown };
  if (typeof token !== "string" || token === "") {
    throw storageErrors.badSignature("it has no token parameter");
  }
  const grant = await context.auth.readGrant(token).catch((error: Error) => {
    throw storageErrors.badSignature(error.message);
  });
  if (grant.scope !== scope) {
    throw storageErrors.badSignature(`it is for ${grant.scope}, not for ${scope}`);
  }
  if (grant.url !== `${address.bucketId}/${address.name}`) {
    throw storageErrors.badSignature("it is for another object");
  }
  return grant;
}

/** Parses a JSON body. Throws InvalidRequest (400), naming each wrong field. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) {
    return parsed.data;
  }
  const faults = parsed.error.issues.map((issue) => `body/${issue.path.join("/")} ${issue.message}`);
  throw storageErrors.invalidRequest(faults.join("; "));
}
