import { QueueError, isTransient } from "./queue-error.ts";
import type { Lease } from "./queue.ts";
import { withRetry } from "./retry.ts";
import type { OutputFile, UploadGrant, Uploads } from "./uploads.ts";

export interface Delivered {
  readonly storagePath: string;
  readonly publicUrl: string;
}

const ATTEMPTS_UNTIL_SEEN = 5;

/**
 * Uploads a task's video and thumbnail, then verifies that storage holds both with their full size. Repeats through
 * outages until the signal aborts. A file that an earlier try of the same attempt stored counts if its size is equal.
 * @throws QueueError when storage declines a file or holds another file under its name; the signal's reason.
 */
export async function deliver(
  uploads: Uploads,
  lease: Lease,
  video: OutputFile,
  thumbnail: OutputFile,
  signal: AbortSignal,
): Promise<{ video: Delivered; thumbnail: Delivered }> {
  const pathOf = (file: OutputFile) => `${lease.taskId}/${file.filename}`;
  let firstTry = true;

  async function stored(file: OutputFile): Promise<boolean> {
    const sizeBytes = await uploads.storedSize(pathOf(file));
    if (sizeBytes === null || sizeBytes === file.sizeBytes) {
      return sizeBytes !== null;
    }
    const detail = `${pathOf(file)} has ${sizeBytes} bytes in storage and ${file.sizeBytes} here`;
    throw new QueueError("rejected", "the upload", 0, detail);
  }

  async function put(file: OutputFile, grant: UploadGrant): Promise<void> {
    if (grant.storagePath !== pathOf(file)) {
      const detail = `permission was given for ${grant.storagePath} instead of ${pathOf(file)}`;
      throw new QueueError("rejected", "the upload", 0, detail);
    }
    await uploads.put(file, grant);
  }

  async function uploadMissing(): Promise<void> {
    const files = [video, thumbnail];
    const missing = firstTry ? files : await selectMissing(files, stored);
    firstTry = false;
    const [first, second] = missing;
    if (first === undefined) {
      return;
    }
    const [grant, secondGrant] = await uploads.authorize(lease, first, second);
    await put(first, grant);
    if (second === undefined) {
      return;
    }
    await put(second, secondGrant ?? (await uploads.authorize(lease, second))[0]);
  }

  await withRetry(uploadMissing, {
    signal,
    retryable: (error, attempt) => isTransient(error) || (isDuplicate(error) && attempt < ATTEMPTS_UNTIL_SEEN),
  });
  for (const file of [video, thumbnail]) {
    await withRetry(() => see(file, stored), {
      signal,
      retryable: (error, attempt) => isTransient(error) || (isUnseen(error) && attempt < ATTEMPTS_UNTIL_SEEN),
    });
  }
  const delivered = (file: OutputFile) => ({ storagePath: pathOf(file), publicUrl: uploads.publicUrl(pathOf(file)) });
  return { video: delivered(video), thumbnail: delivered(thumbnail) };
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
  files: OutputFile[],
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
