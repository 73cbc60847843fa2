import type { Pool } from "pg";
import { StorageError, storageErrors } from "./errors.ts";

export interface BucketRow {
  readonly id: string;
  readonly name: string;
  readonly owner: string | null;
  readonly public: boolean;
  readonly file_size_limit: number | null;
  readonly allowed_mime_types: string[] | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export interface ObjectMetadata {
  readonly eTag: string;
  readonly size: number;
  readonly mimetype: string;
  readonly cacheControl: string;
  readonly lastModified: string;
  readonly contentLength: number;
  readonly httpStatusCode: number;
}

export interface ObjectRow {
  readonly id: string;
  readonly name: string;
  readonly bucket_id: string;
  readonly owner: string | null;
  readonly version: string | null;
  readonly metadata: ObjectMetadata | null;
  readonly user_metadata: Record<string, unknown> | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly last_accessed_at: Date;
}

export interface NewObject {
  readonly bucketId: string;
  readonly name: string;
  readonly version: string;
  readonly metadata: ObjectMetadata;
  readonly userMetadata: Record<string, unknown> | null;
}

export interface BucketSettings {
  readonly public: boolean;
  readonly fileSizeLimitBytes: number | null;
  readonly allowedMimeTypes: string[] | null;
}

// bigint arrives as text; sizes are far below 2^53.
const BUCKET_COLUMNS =
  "id, name, owner, public, file_size_limit::float8 as file_size_limit, allowed_mime_types, created_at, updated_at";
const UNIQUE_VIOLATION = "23505";
const FOREIGN_KEY_VIOLATION = "23503";

/** A refusal of the database that names its HTTP status. */
const REFUSAL = /^PT(4\d\d)$/;

function translated(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string };
  const status = REFUSAL.exec(code ?? "")?.[1];
  if (status !== undefined) {
    return new StorageError(Number(status), "InvalidRequest", message);
  }
  if (code === UNIQUE_VIOLATION) {
    return storageErrors.duplicate();
  }
  if (code === FOREIGN_KEY_VIOLATION) {
    return storageErrors.bucketNotFound();
  }
  return error;
}

/** Runs SQL. Throws a StorageError when the caller's request is wrong. */
type Query = <Row extends object>(sql: string, values: unknown[]) => Promise<Row[]>;

export type StorageMetadata = ReturnType<typeof createStorageMetadata>;

/** Reads and writes the rows of `storage.buckets` and `storage.objects`. */
export function createStorageMetadata(pool: Pool) {
  const query: Query = async <Row extends object>(sql: string, values: unknown[]) => {
    try {
      return (await pool.query<Row>(sql, values)).rows;
    } catch (error) {
      throw translated(error);
    }
  };
  return { ...bucketRows(query, pool), ...objectRows(query) };
}

function settingsOf(settings: BucketSettings): unknown[] {
  return [settings.public, settings.fileSizeLimitBytes, settings.allowedMimeTypes];
}

function bucketRows(query: Query, pool: Pool) {
  return {
    listBuckets: (): Promise<BucketRow[]> => query(`select ${BUCKET_COLUMNS} from storage.buckets order by id`, []),

    /** Throws "Bucket not found" (404). */
    async bucket(id: string): Promise<BucketRow> {
      const [row] = await query<BucketRow>(`select ${BUCKET_COLUMNS} from storage.buckets where id = $1`, [id]);
      if (row === undefined) {
        throw storageErrors.bucketNotFound();
      }
      return row;
    },

    /** Throws Duplicate (409). */
    async createBucket(id: string, settings: BucketSettings): Promise<void> {
      await query(
        "insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values ($1, $1, $2, $3, $4)",
        [id, ...settingsOf(settings)],
      );
    },

    /** Makes a public bucket, unless a bucket of this name exists, whatever its settings. */
    async ensurePublicBucket(id: string): Promise<void> {
      await query("insert into storage.buckets (id, name, public) values ($1, $1, true) on conflict do nothing", [id]);
    },

    async updateBucket(id: string, settings: BucketSettings): Promise<void> {
      await query(
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
  };
}

function objectRows(query: Query) {
  return {
    async findObject(bucketId: string, name: string): Promise<ObjectRow | null> {
      const [row] = await query<ObjectRow>("select * from storage.objects where bucket_id = $1 and name = $2", [
        bucketId,
        name,
      ]);
      return row ?? null;
    },

    /**
     * Inserts the row of an object whose bytes are stored already. `replacedVersion` names bytes that are now unused.
     * Throws Duplicate (409) when the name is taken and `upsert` is false, "Bucket not found" (404).
     */
    async putObject(object: NewObject, upsert: boolean): Promise<{ id: string; replacedVersion: string | null }> {
      const onConflict = upsert
        ? `on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata,
             user_metadata = excluded.user_metadata, updated_at = now()`
        : "";
      const [row] = await query<{ id: string; replacedVersion: string | null }>(
        `insert into storage.objects (bucket_id, name, version, metadata, user_metadata)
         values ($1, $2, $3, $4, $5) ${onConflict}
         returning new.id, old.version as "replacedVersion"`,
        [object.bucketId, object.name, object.version, object.metadata, object.userMetadata],
      );
      return row!;
    },

    deleteObjects: (bucketId: string, names: string[]): Promise<ObjectRow[]> =>
      query("delete from storage.objects where bucket_id = $1 and name = any($2) returning *", [bucketId, names]),

    deleteAllObjects: (bucketId: string): Promise<ObjectRow[]> =>
      query("delete from storage.objects where bucket_id = $1 returning *", [bucketId]),
  };
}
