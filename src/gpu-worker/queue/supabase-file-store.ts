import { withRetry } from "../retry.ts";
import type { FileStore, OutputFile } from "./file-store.ts";
import { QueueError, isTransient } from "./queue-error.ts";
import type { Lease } from "./queue.ts";
import type { UploadGrant, Uploads } from "./uploads.ts";

const ATTEMPTS_UNTIL_SEEN = 5;

/** Keeps results in a storage bucket of Supabase, by signed uploads. */
export function createSupabaseFileStore(uploads: Uploads): FileStore {
  return {
    async deliver(lease, files, signal) {
      const stored = (file: OutputFile) => isStored(uploads, lease, file);
      let firstTry = true;
      async function uploadMissing(): Promise<void> {
        const missing = firstTry ? files : await selectMissing(files, stored);
        firstTry = false;
        for (let index = 0; index < missing.length; index += 2) {
          await uploadTwo(uploads, lease, missing[index]!, missing[index + 1]);
        }
      }

      await withRetry(uploadMissing, {
        signal,
        retryable: (error, attempt) => isTransient(error) || (isDuplicate(error) && attempt < ATTEMPTS_UNTIL_SEEN),
      });
      for (const file of files) {
        await withRetry(() => see(file, stored), {
          signal,
          retryable: (error, attempt) => isTransient(error) || (isUnseen(error) && attempt < ATTEMPTS_UNTIL_SEEN),
        });
      }
      return files.map((file) => ({
        storagePath: pathOf(lease, file),
        location: uploads.publicUrl(pathOf(lease, file)),
      }));
    },
  };
}

function pathOf({ taskId }: Lease, { filename }: OutputFile): string {
  return `${taskId}/${filename}`;
}

async function isStored(uploads: Uploads, lease: Lease, file: OutputFile): Promise<boolean> {
  const path = pathOf(lease, file);
  const sizeBytes = await uploads.storedSize(path);
  if (sizeBytes === null || sizeBytes === file.sizeBytes) {
    return sizeBytes !== null;
  }
  const detail = `${path} has ${sizeBytes} bytes in storage and ${file.sizeBytes} here`;
  throw new QueueError("rejected", "the upload", 0, detail);
}

async function uploadTwo(uploads: Uploads, lease: Lease, first: OutputFile, second?: OutputFile): Promise<void> {
  async function put(file: OutputFile, grant: UploadGrant): Promise<void> {
    if (grant.storagePath !== pathOf(lease, file)) {
      const detail = `permission was given for ${grant.storagePath} instead of ${pathOf(lease, file)}`;
      throw new QueueError("rejected", "the upload", 0, detail);
    }
    await uploads.put(file, grant);
  }

  const [grant, secondGrant] = await uploads.authorize(lease, first, second);
  await put(first, grant);
  if (second !== undefined) {
    await put(second, secondGrant ?? (await uploads.authorize(lease, second))[0]);
  }
}

class UnseenError extends Error {}

async function see(file: OutputFile, stored: (file: OutputFile) => Promise<boolean>): Promise<void> {
  if (!(await stored(file))) {
    throw new UnseenError(`${file.filename} was uploaded but does not appear in storage`);
  }
}

function isUnseen(error: unknown) {
  return error instanceof UnseenError;
}
function isDuplicate(error: unknown) {
  return error instanceof QueueError && error.kind === "duplicate";
}

async function selectMissing(
  files: readonly OutputFile[],
  stored: (file: OutputFile) => Promise<boolean>,
): Promise<OutputFile[]> {
  const missing: OutputFile[] = [];
  for (const file of files) {
    if (!(await stored(file))) {
      missing.push(file);
    }
  }
  return missing;
}
