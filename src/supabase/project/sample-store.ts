import type { Database } from "../client.ts";
import { DatabaseError } from "../database-error.ts";
import { TABLES } from "../tables.ts";

/** Files for trying things out, in the folder `samples` of a public bucket. */
export interface SampleStore {
  /** Stores a file, in place of one of that name. @returns its public address. @throws DatabaseError */
  put(name: string, bytes: Uint8Array, contentType: string): Promise<string>;
}

export function sampleStore(database: Database, bucket: string): SampleStore {
  const files = database[TABLES].storage.from(bucket);
  return {
    async put(name, bytes, contentType) {
      const path = `samples/${name}`;
      const { error } = await files.upload(path, bytes, { upsert: true, contentType });
      if (error !== null) {
        const status = Number("statusCode" in error ? error.statusCode : 0) || 0;
        throw new DatabaseError(`storing ${bucket}/${path}`, status, "", error.message, null);
      }
      return files.getPublicUrl(path).data.publicUrl;
    },
  };
}
