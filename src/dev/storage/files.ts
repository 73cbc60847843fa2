import { createHash, randomUUID } from "node:crypto";
import { chmod, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { storageErrors } from "./errors.ts";
import type { ByteRange } from "./names.ts";

export interface StoredFile {
  readonly version: string;
  readonly sizeBytes: number;
  readonly md5Hex: string;
}

export interface StorageFiles {
  /** Stores a stream under a new version. Throws "Payload too large" (413) beyond `limitBytes`. */
  receive(source: Readable, limitBytes: number): Promise<StoredFile>;
  /** Opens a version for reading; null when its bytes are not on disk. */
  open(version: string, range: ByteRange | null): Promise<Readable | null>;
  /** Deletes a version's bytes, if they exist. */
  remove(version: string): Promise<void>;
}

const VERSION = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @returns the folder of unfinished uploads, empty */
async function prepareFolders(directory: string): Promise<string> {
  const incoming = join(directory, "incoming");
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  // Files of private buckets lie here too.
  await chmod(directory, 0o700);
  return incoming;
}

/**
 * The bytes on disk: one file per upload, named by a new version and never by a caller's text. So no name can lead
 * out of the directory, and an overwrite never changes bytes that a download is reading.
 */
export async function openStorageFiles(directory: string): Promise<StorageFiles> {
  const incoming = await prepareFolders(directory);
  const pathOf = (version: string): string => join(directory, "objects", version.slice(0, 2), version);

  return {
    async receive(source, limitBytes) {
      const version = randomUUID();
      const temporary = join(incoming, version);
      const hash = createHash("md5");
      let sizeBytes = 0;
      const meter = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          sizeBytes += chunk.length;
          // Reads and drops the rest of an oversized body, so that the client gets 413 and not a broken connection.
          if (sizeBytes > limitBytes) {
            return done();
          }
          hash.update(chunk);
          done(null, chunk);
        },
      });
      try {
        // Opened before the stream starts: a stream that breaks off while its file is still being opened would create
        // the file after the `rm` below.
        const file = await open(temporary, "wx", 0o600);
        await pipeline(source, meter, file.createWriteStream());
        if (sizeBytes > limitBytes) {
          throw storageErrors.tooLarge();
        }
        await mkdir(join(directory, "objects", version.slice(0, 2)), { recursive: true, mode: 0o700 });
        await rename(temporary, pathOf(version));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      return { version, sizeBytes, md5Hex: hash.digest("hex") };
    },
    async open(version, range) {
      if (!VERSION.test(version)) {
        return null;
      }
      try {
        const handle = await open(pathOf(version));
        return handle.createReadStream(range ?? {});
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") {
          return null;
        }
        throw error;
      }
    },
    async remove(version) {
      if (VERSION.test(version)) {
        await rm(pathOf(version), { force: true });
      }
    },
  };
}
