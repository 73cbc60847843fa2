import type { Pool } from "pg";
import { storageErrors } from "./errors.ts";

export interface BucketRow {
  id: string;
  name: string;
  owner: string | null;
  public: boolean;
  file_size_limit: number | null;
  allowed_mime_types: string[] | null;
  created_at: Date;
  updated_at: Date;
}

export interface ObjectMetadata {
  eTag: string;
  size: number;
  mimetype: string;
  cacheControl: string;
  lastModified: string;
  contentLength: number;
  httpStatusCode: number;
}

export interface ObjectRow {
  id: string;
  name: string;
  bucket_id: string;
  owner: string | null;
  version: string | null;
  metadata: ObjectMetadata | null;
  user_metadata: Record<string, unknown> | null;
  created_at: Date;
  updated_at: Date;
  last_accessed_at: Date;
}

export interface NewObject {
  bucketId: string;
  name: string;
  version: string;
  metadata: ObjectMetadata;
  userMetadata: Record<string, unknown> | null;
}

export interface BucketSettings {
  public: boolean;
  fileSizeLimitBytes: number | null;
  allowedMimeTypes: string[] | null;
}

// bigint arrives as text; sizes are far below 2^53.
const BUCKET_COLUMNS =
  "id, name, owner, public, file_size_limit::float8 as file_size_limit, allowed_mime_types, created_at, updated_at";
const UNIQUE_VIOLATION = "23505";
const FOREIGN_KEY_VIOLATION = "23503";

function translated(error: unknown): unknown {
  const { code } = error as { code?: string };
  if (code === UNIQUE_VIOLATION) {
    return storageErrors.duplicate();
  }
  if (code === FOREIGN_KEY_VIOLATION) {
    return storageErrors.bucketNotFound();
  }
  return error;
}

export type StorageMetadata = ReturnType<typeof createStorageMetadata>;

/** Rows of `storage.buckets` and `storage.objects`, as functions. Throws StorageError where a caller is to blame. */
export function createStorageMetadata(pool: Pool) {
  const rows = async <Row extends object>(sql: string, values: unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(sql, values)).rows;
    } catch (error) {
      throw translated(error);
    }
  };
  const settingsOf = (settings: BucketSettings): unknown[] => [
    settings.public,
    settings.fileSizeLimitBytes,
    settings.allowedMimeTypes,
  ];

  return {
    listBuckets: (): Promise<BucketRow[]> => rows(`select ${BUCKET_COLUMNS} from storage.buckets order by id`, []),

    /** Throws "Bucket not found" (404). */
    async bucket(id: string): Promise<BucketRow> {
      const [row] = await rows<BucketRow>(`select ${BUCKET_COLUMNS} from storage.buckets where id = $1`, [id]);
      if (row === undefined) {
        throw storageErrors.bucketNotFound();
      }
      return row;
    },

    /** Throws Duplicate (409). */
    async createBucket(id: string, settings: BucketSettings): Promise<void> {
      await rows(
        "insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values ($1, $1, $2, $3, $4)",
        [id, ...settingsOf(settings)],
      );
    },

    /** Makes a public bucket unless one of this name is there, whatever its settings. */
    async ensurePublicBucket(id: string): Promise<void> {
      await rows("insert into storage.buckets (id, name, public) values ($1, $1, true) on conflict do nothing", [id]);
    },

    async updateBucket(id: string, settings: BucketSettings): Promise<void> {
      await rows(
        `update storage.buckets set public = $2, file_size_limit = $3, allowed_mime_types = $4, updated_at = now()
         where id = $1`,
        [id, ...settingsOf(settings)],
      );
    },

    /** Throws "not empty" (409). */
    async deleteBucket(id: string): Promise<void> {
      try {
        await pool.query("delete from storage.buckets where id = $1", [id]);
      } catch (error) {
        throw (error as { code?: string }).code === FOREIGN_KEY_VIOLATION ? storageErrors.bucketNotEmpty() : error;
      }
    },

    async findObject(bucketId: string, name: string): Promise<ObjectRow | null> {
      const [row] = await rows<ObjectRow>("select * from storage.objects where bucket_id = $1 and name = $2", [
        bucketId,
        name,
      ]);
      return row ?? null;
    },

    /**
     * Books an object whose bytes are in place. `replacedVersion` names bytes that nobody points to any more.
     * Throws Duplicate (409) when the name is taken and `upsert` is false, "Bucket not found" (404).
     */
    async putObject(object: NewObject, upsert: boolean): Promise<{ id: string; replacedVersion: string | null }> {
      const onConflict = upsert
        ? `on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata,
             user_metadata = excluded.user_metadata, updated_at = now()`
        : "";
      const [row] = await rows<{ id: string; replacedVersion: string | null }>(
        `insert into storage.objects (bucket_id, name, version, metadata, user_metadata)
         values ($1, $2, $3, $4, $5) ${onConflict}
         returning new.id, old.version as "replacedVersion"`,
        [object.bucketId, object.name, object.version, object.metadata, object.userMetadata],
      );
      return row!;
    },

    deleteObjects: (bucketId: string, names: string[]): Promise<ObjectRow[]> =>
      rows("delete from storage.objects where bucket_id = $1 and name = any($2) returning *", [bucketId, names]),

    deleteAllObjects: (bucketId: string): Promise<ObjectRow[]> =>
      rows("delete from storage.objects where bucket_id = $1 returning *", [bucketId]),
  };
}
