import { chmod, lstat, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** A folder cannot be used for work. The message says whose it is and what to do. */
export class FolderError extends Error {
  override readonly name = "FolderError";
}

const PRIVATE = 0o700;
const STICKY = 0o1000;
const OTHERS_MAY_WRITE = 0o022;
const ROOT_UID = 0;

/**
 * Makes a folder for this run alone, because the encoder of a killed run of the same worker may still be writing into its own.
 * Folders of earlier runs are removed: their tasks are done again.
 * @param isOwn whether the parent is the one that this program chose itself; then it is kept private
 * @throws FolderError when another user could replace what lies in the parent
 */
export async function openRunFolder(parent: string, workerId: string, isOwn: boolean): Promise<string> {
  await mkdir(parent, { recursive: true, mode: PRIVATE });
  await requireSafe(parent, isOwn);
  const prefix = `${workerId}.`;
  for (const name of await readdir(parent)) {
    const isRun = name.startsWith(prefix) && /^[A-Za-z0-9]{6}$/.test(name.slice(prefix.length));
    if (isRun && (await isOurs(join(parent, name)))) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
  return await mkdtemp(join(parent, prefix));
}

/** Makes the folder of one attempt, which no other user can read. */
export async function openAttemptFolder(runFolder: string, name: string): Promise<string> {
  const path = join(runFolder, name);
  await mkdir(path, { recursive: true, mode: PRIVATE });
  return path;
}

async function requireSafe(path: string, isOwn: boolean): Promise<void> {
  const { uid, mode } = await statOf(path);
  const own = process.getuid?.();
  if (own === undefined) {
    return;
  }
  const isSticky = (mode & STICKY) !== 0;
  // In a folder such as /tmp each user can only move or remove what is their own.
  const isShared = uid === ROOT_UID && isSticky;
  if (uid !== own && (isOwn || !isShared)) {
    throw new FolderError(
      `${path} belongs to user ${uid}, and this program runs as user ${own}: set WORKER_OUTPUT_DIR to a folder of your own`,
    );
  }
  if (isOwn) {
    await chmod(path, PRIVATE);
  } else if ((mode & OTHERS_MAY_WRITE) !== 0 && !isSticky) {
    throw new FolderError(
      `other users may write to ${path}: run chmod go-w on it, or set WORKER_OUTPUT_DIR to another folder`,
    );
  }
}

async function statOf(path: string) {
  const stats = await lstat(path);
  if (!stats.isDirectory()) {
    throw new FolderError(`${path} is not a folder: remove it, or set WORKER_OUTPUT_DIR to another one`);
  }
  return stats;
}

async function isOurs(path: string): Promise<boolean> {
  const own = process.getuid?.();
  const stats = await lstat(path).catch(() => null);
  return stats?.isDirectory() === true && (own === undefined || stats.uid === own);
}
