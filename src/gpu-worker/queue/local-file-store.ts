import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { link, mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { withOutput } from "./open-output.ts";
import { QueueError } from "./queue-error.ts";
import type { Delivered, FileStore, OutputFile } from "./file-store.ts";
import type { LocalDatabase } from "../../task-file/local-database.ts";
import { publicFolder } from "../../task-file/public-folder.ts";
import { findTask, type LocalTask, parsed } from "../../task-file/rows.ts";

/**
 * Keeps results in `public/files/`, in no further folders. The files of segments and of a finished travel are named after
 * their run. No file is ever overwritten: where the name is taken, that of the attempt is added.
 */
export function createLocalFileStore(database: LocalDatabase): FileStore {
  const folder = join(publicFolder(database.file), "files");

  async function place(file: OutputFile, basename: string, title: string): Promise<Delivered> {
    const rest = file.filename.startsWith(basename) ? file.filename.slice(basename.length) : `_${file.filename}`;
    for (const name of new Set([`${title}${rest}`, `${title}_${basename}${rest}`, `${basename}${rest}`])) {
      if (await placeAs(file, join(folder, name))) {
        return { storagePath: `files/${name}`, location: `files/${name}` };
      }
    }
    throw new QueueError(
      "rejected",
      "storing a result",
      0,
      `${folder} holds other files under every name for ${file.filename}`,
    );
  }

  return {
    async deliver(lease, files, signal) {
      await mkdir(folder, { recursive: true });
      const task = findTask(database, lease.taskId);
      const basename = `task_${lease.taskId}_a${task?.leases ?? 0}`;
      const title = (task && titleOf(task)) ?? basename;
      const delivered: Delivered[] = [];
      for (const file of files) {
        signal.throwIfAborted();
        delivered.push(await place(file, basename, title));
      }
      return delivered;
    },
  };
}

/** @returns whether the file is there under this name now, placed or placed before; false: another file has the name */
async function placeAs(file: OutputFile, path: string): Promise<boolean> {
  const part = `${path}.${randomBytes(4).toString("hex")}.part`;
  try {
    await withOutput(file, async (handle, mode) => {
      const source = handle.createReadStream({ autoClose: false });
      await pipeline(source, createWriteStream(part, { flags: "wx", mode }));
    });
    await link(part, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      return await isSame(part, path);
    }
    const kind = code === "ENOSPC" || code === "EDQUOT" ? "unavailable" : "rejected";
    throw new QueueError(kind, "storing a result", 0, `${path}: ${(error as Error).message}`, error);
  } finally {
    await rm(part, { force: true });
  }
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([stat(one), stat(other)]);
  if (first.size !== second.size) {
    return false;
  }
  const [here, there] = await Promise.all([digest(one), digest(other)]);
  return here === there;
}

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** The beginning of the file names, for tasks of a run. */
function titleOf({ task_type: type, params }: LocalTask): string | null {
  const values = parsed(params) as Record<string, unknown> | null;
  const run = values?.["orchestrator_run_id"] ?? values?.["run_id"];
  if (typeof run !== "string" || run === "") {
    return null;
  }
  const name = run.replaceAll(/[^\w.-]/g, "_").slice(0, 100);
  const index = values?.["segment_index"];
  if (type === "travel_segment" && Number.isSafeInteger(index)) {
    return `${name}_seg${String(index).padStart(2, "0")}_output`;
  }
  return type === "travel_stitch" ? `${name}_final` : null;
}
