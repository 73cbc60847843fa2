import { type Stats, constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import type { OutputFile } from "./file-store.ts";

// A pipe would keep the worker waiting for its other end.
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Which file a handle is of. It changes when the file is written again. */
export function identityOf({ dev, ino, size, mtimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs].join(" ");
}

/**
 * Opens a file of a result. A link is not followed, because it could publish what another user may not read; and a file with a
 * second name may be another user's.
 * @throws Error naming the file when it is a link, no file, or has two names
 */
export async function openResult(path: string): Promise<{ readonly handle: FileHandle; readonly stats: Stats }> {
  const handle = await open(path, FLAGS).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "ELOOP" ? "is a link" : `cannot be opened (${error.code ?? error.message})`;
    throw new Error(`the result file ${basename(path)} ${why}`, { cause: error });
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.nlink > 1) {
      throw new Error(`the result file ${basename(path)} is ${stats.isFile() ? "a link to another file" : "no file"}`);
    }
    return { handle, stats };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Uses a described file while it is open. @throws Error when another file lies at its path now */
export async function withOutput<T>(
  file: OutputFile,
  use: (handle: FileHandle, mode: number) => Promise<T>,
): Promise<T> {
  const { handle, stats } = await openResult(file.path);
  try {
    if (identityOf(stats) !== file.identity) {
      throw new Error(`the result file ${file.filename} was replaced before it was stored`);
    }
    return await use(handle, stats.mode & 0o777);
  } finally {
    await handle.close();
  }
}
