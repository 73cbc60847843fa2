import { realpath, stat, statfs } from "node:fs/promises";
import { isAbsolute, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { tooLarge } from "./download.ts";
import { Refusal, Unavailable } from "../../net/refusal.ts";

export interface LocalFileOptions {
  /** Folders whose files may be read. A relative path is looked for in each, in this order. */
  readonly folders: readonly string[];
  readonly maxBytes: number;
}

/** File systems of the kernel: what they show is the state of processes, not a file. */
const KERNEL_FILE_SYSTEMS = new Set([0x9fa0, 0x62656572]);
const MISSING = new Set(["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"]);

/**
 * The real path of a file in one of the folders, links followed.
 * @throws Refusal when there is none or it may not be read; Unavailable when its disk does not answer
 */
export async function findLocalFile(value: string, { folders, maxBytes }: LocalFileOptions): Promise<string> {
  if (folders.length === 0) {
    throw new Refusal("this worker takes no files of its own disk");
  }
  const path = pathOf(value);
  for (const candidate of isAbsolute(path) ? [path] : folders.map((folder) => join(folder, path))) {
    const real = await unlessMissing(realpath(candidate));
    if (real !== null && (await isInside(real, folders))) {
      await requireFile(real, maxBytes);
      return real;
    }
  }
  throw new Refusal("there is no such file in the folders that this worker may read");
}

function pathOf(value: string): string {
  if (!value.startsWith("file:")) {
    return value;
  }
  try {
    return fileURLToPath(value);
  } catch {
    throw new Refusal("it is not the path of a file");
  }
}

async function isInside(real: string, folders: readonly string[]): Promise<boolean> {
  for (const folder of folders) {
    const root = await unlessMissing(realpath(folder));
    if (root !== null && real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      return true;
    }
  }
  return false;
}

async function requireFile(real: string, maxBytes: number): Promise<void> {
  const [facts, { type }] = await Promise.all([stat(real), statfs(real)]);
  if (!facts.isFile() || KERNEL_FILE_SYSTEMS.has(type)) {
    throw new Refusal("it is not an ordinary file");
  }
  if (facts.size > maxBytes) {
    throw tooLarge(maxBytes);
  }
}

async function unlessMissing<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (MISSING.has(code)) {
      return null;
    }
    throw new Unavailable(`its disk does not answer: ${message}`);
  }
}
