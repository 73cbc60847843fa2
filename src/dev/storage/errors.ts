import { cut } from "../../../supabase/functions/_shared/text.ts";

/** An error in an answer to a caller of storage: an HTTP status and the code that storage-api gives it. */
export class StorageError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** All errors of storage, with the texts of hosted Supabase where it has them. */
export const storageErrors = {
  bucketNotFound: () => new StorageError(404, "Bucket not found", "Bucket not found"),
  objectNotFound: () => new StorageError(404, "not_found", "Object not found"),
  duplicate: () => new StorageError(409, "Duplicate", "The resource already exists"),
  bucketNotEmpty: () => new StorageError(409, "InvalidRequest", "The bucket you tried to delete is not empty"),
  tooLarge: () => new StorageError(413, "Payload too large", "The object exceeded the maximum allowed size"),
  rangeNotSatisfiable: () => new StorageError(416, "InvalidRange", "The requested range is not satisfiable"),
  forbidden: () => new StorageError(403, "Unauthorized", "new row violates row-level security policy"),
  badToken: (reason: string) => new StorageError(403, "Unauthorized", `The access token was refused: ${reason}`),
  badSignature: (reason: string) => new StorageError(400, "InvalidSignature", `The signed URL was refused: ${reason}`),
  invalidKey: (name: string) => new StorageError(400, "InvalidKey", `Invalid key: ${cut(name, 200)}`),
  invalidBucketName: (name: string) =>
    new StorageError(400, "InvalidBucketName", `Bucket name invalid: ${cut(name, 200)}`),
  invalidRequest: (message: string) => new StorageError(400, "InvalidRequest", message),
  mimeType: (type: string) => new StorageError(415, "invalid_mime_type", `mime type ${type} is not supported`),
};
