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
      // Storage chooses the name: that of a file which stands already is not given again.
      const grants = new Map<OutputFile, UploadGrant>();
      const stored = (file: OutputFile) => isStored(uploads, grants.get(file), file);
      async function uploadMissing(): Promise<void> {
        const missing = await selectMissing(files, stored);
        for (let index = 0; index < missing.length; index += 2) {
          await uploadTwo(uploads, lease, grants, missing[index]!, missing[index + 1]);
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
      return files.map((file) => {
        const { storagePath } = grants.get(file)!;
        return { storagePath, location: uploads.publicUrl(storagePath) };
      });
    },
  };
}

/** Without a grant nothing of this file was sent. */
async function isStored(uploads: Uploads, grant: UploadGrant | undefined, file: OutputFile): Promise<boolean> {
  const sizeBytes = grant === undefined ? null : await uploads.storedSize(grant.storagePath);
  if (sizeBytes === null || sizeBytes === file.sizeBytes) {
    return sizeBytes !== null;
  }
  const detail = `${grant?.storagePath} has ${sizeBytes} bytes in storage and ${file.sizeBytes} here`;
  throw new QueueError("rejected", "the upload", 0, detail);
}

async function uploadTwo(
  uploads: Uploads,
  lease: Lease,
  grants: Map<OutputFile, UploadGrant>,
  first: OutputFile,
  second?: OutputFile,
): Promise<void> {
  async function put(file: OutputFile, grant: UploadGrant): Promise<void> {
    grants.set(file, grant);
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
