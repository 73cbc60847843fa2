import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { delimiter, dirname, join, parse } from "node:path";
import { deleteTaskFile } from "../../../task-file/delete-file.ts";
import { publicFolder } from "../../../task-file/public-folder.ts";
import { livingWorkers } from "../../../task-file/workers.ts";
import type { Context } from "../../context.ts";
import { withLocalFile } from "../../local/local-file.ts";
import type { WorkerRunFlags } from "./worker-flags.ts";
import { runWorkerProcess } from "./worker-process.ts";
import { requireEngine, processSettings } from "./worker-settings.ts";

/** @param file the file of tasks, made where it is missing. @throws LocalDatabaseError when a worker with this id lives */
export async function runLocalWorker(context: Context, options: WorkerRunFlags, file: string): Promise<void> {
  const { output } = context;
  if (options.deleteDb) {
    deleteTaskFile(file);
  }
  if (options.migrateOnly) {
    await withLocalFile(file, true, () => undefined);
    output.print(`${file} is up to date`);
    return;
  }
  const id = options.id ?? `local-${randomBytes(4).toString("hex")}`;
  const engine = requireEngine(context, options);
  const settings = processSettings(context, options);
  const outputs = join(dirname(file), "outputs");
  await withLocalFile(file, true, (database) => removeDeadRuns(outputs, livingWorkers(database, Date.now())));
  const reason = await runWorkerProcess(context, {
    id,
    level: settings.level,
    env: {
      WORKER_ID: id,
      DB_TYPE: "sqlite",
      SQLITE_DB_PATH_ENV: file,
      WORKER_OUTPUT_DIR: outputs,
      // Whoever may write tasks into the file may read this user's files anyway.
      WORKER_INPUT_DIRS: [publicFolder(file), dirname(file), parse(file).root].join(delimiter),
      WORKER_ENGINE: engine,
      ...settings.env,
    },
    greeting: `worker ${id} works on ${file}; results in ${join(publicFolder(file), "files")}; Ctrl-C gives its task back and ends it`,
  });
  output.note(`gpu-pool: worker ${id} has left: ${reason}`);
}

/** A worker that was killed leaves its folder, and the next one has another id. */
async function removeDeadRuns(outputs: string, living: readonly string[]): Promise<void> {
  const names = await readdir(outputs).catch(() => []);
  for (const name of names) {
    const id = /^(local-[0-9a-f]{8})\.[A-Za-z0-9]{6}$/.exec(name)?.[1];
    if (id !== undefined && !living.includes(id)) {
      await rm(join(outputs, name), { recursive: true, force: true });
    }
  }
}
