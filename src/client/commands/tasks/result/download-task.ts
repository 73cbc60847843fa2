import { constants } from "node:fs";
import { copyFile, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type TaskRow, taskStore } from "../../../../supabase/task-store.ts";
import { publicFolder } from "../../../../task-file/public-folder.ts";
import type { Context } from "../../../context.ts";
import { ClientError, EXIT } from "../../../errors.ts";
import { findTask, findTaskIn } from "../../../find-by-prefix.ts";
import { localFile, withLocalFile } from "../../../local/local-file.ts";
import { localTasks } from "../../../local/local-tasks.ts";
import type { JsonOptions, LocalOptions } from "../../../options.ts";
import { fetchFile } from "./fetch-file.ts";
import { resultLocations, safeName } from "./result-files.ts";

const PROGRESS_EVERY_MS = 200;

export interface DownloadOptions extends JsonOptions, LocalOptions {
  /** A folder, or the path of the file where the result is one; default: the current folder. */
  readonly output?: string;
  readonly overwrite?: boolean;
}

type Result = Pick<TaskRow, "id" | "status" | "output_location" | "result_data">;

interface Target {
  readonly source: string;
  readonly path: string;
}

/** Writes the files of a task's result and prints their paths. @throws ClientError, also where a file is there already */
export async function downloadTask(context: Context, given: string, options: DownloadOptions): Promise<void> {
  const { output } = context;
  const file = localFile(context, options);
  const task = file === null ? await readResult(context, given) : await readLocalResult(file, given);
  const targets = await targetsOf(task, file, options);
  for (const { path } of options.overwrite ? [] : targets) {
    if (await exists(path)) {
      throw alreadyThere(path);
    }
  }
  for (const target of targets) {
    await writeTarget(context, target, options.overwrite === true);
    if (!options.json) {
      output.print(target.path);
    }
  }
  if (options.json) {
    output.printJson({ id: task.id, files: targets.map(({ source, path }) => ({ path, source })) });
  }
}

async function readResult(context: Context, given: string): Promise<Result> {
  const { id } = await findTask(context, given);
  return (await taskStore(await context.connections.database()).find(id)) ?? deleted(id);
}

async function readLocalResult(file: string, given: string): Promise<Result> {
  return await withLocalFile(file, false, async (database) => {
    const store = localTasks(database);
    const { id } = await findTaskIn(given, (limit) => Promise.resolve(store.tasksWithPrefix(given, limit)));
    return store.find(id) ?? deleted(id);
  });
}

function deleted(id: string): never {
  throw new ClientError(EXIT.notFound, `task ${id} was deleted meanwhile`);
}

async function targetsOf(task: Result, file: string | null, options: DownloadOptions): Promise<Target[]> {
  const show = `gpu-pool task show ${task.id.slice(0, 8)}`;
  if (task.status !== "Complete") {
    throw new ClientError(EXIT.failed, `task ${task.id} is ${task.status}: it has no result`, show);
  }
  const locations = resultLocations(task);
  if (locations.length === 0) {
    throw new ClientError(EXIT.failed, `the result of task ${task.id} has no file`, show);
  }
  const given = options.output ?? ".";
  const isFolder = options.output === undefined || /[/\\]$/.test(given) || (await isDirectory(given));
  if (!isFolder && locations.length > 1) {
    const problem = `--output ${given} is one file, and the result of task ${task.id} has ${locations.length}`;
    throw new ClientError(EXIT.usage, problem, "Give a folder, with / at its end.");
  }
  const taken = new Set<string>();
  return locations.map((location) => ({
    // A file of tasks keeps its results beside it.
    source: file !== null && location.startsWith("files/") ? join(publicFolder(file), location) : location,
    path: resolve(isFolder ? join(given, safeName(location, task.id, taken)) : given),
  }));
}

/** Through a file beside it, so that the path never holds a part of the result. */
async function writeTarget({ output, env }: Context, { source, path }: Target, overwrite: boolean): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const folder = await mkdtemp(join(dirname(path), ".gpu-pool-download-"));
  const partial = join(folder, "part");
  const ownOrigins = [env["SUPABASE_URL"], env["SUPABASE_PUBLIC_URL"]].flatMap((url) =>
    url !== undefined && URL.canParse(url) ? [new URL(url).origin] : [],
  );
  let shownMs = 0;
  try {
    await fetchFile(source, partial, ownOrigins, (written, total) => {
      if (output.errIsTerminal && Date.now() - shownMs >= PROGRESS_EVERY_MS) {
        shownMs = Date.now();
        output.progress(
          `${basename(path)}: ${megabytes(written)}${total === null ? "" : ` of ${megabytes(total)}`} MB`,
        );
      }
    });
    if (overwrite) {
      await rename(partial, path);
    } else {
      await copyFile(partial, path, constants.COPYFILE_EXCL).catch((error: NodeJS.ErrnoException) => {
        throw error.code === "EEXIST" ? alreadyThere(path) : error;
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function alreadyThere(path: string): ClientError {
  return new ClientError(EXIT.failed, `${path} is there already`, "--overwrite replaces it; --output names another.");
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}
