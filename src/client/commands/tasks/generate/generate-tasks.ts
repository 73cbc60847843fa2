import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { loadConfig } from "../../../../config/config.ts";
import { makeSamples, type Samples } from "../../../../dev/samples/make-samples.ts";
import { sampleStore } from "../../../../supabase/project/sample-store.ts";
import { taskStore } from "../../../../supabase/task-store.ts";
import type { TaskType } from "../../../../task-types/task-type.ts";
import { findTaskType, TASK_TYPES } from "../../../../task-types/task-types.ts";
import type { Context } from "../../../context.ts";
import { ClientError, EXIT } from "../../../errors.ts";
import { localFile, withLocalFile } from "../../../local/local-file.ts";
import { localTasks } from "../../../local/local-tasks.ts";
import type { LocalOptions, PoolOptions } from "../../../options.ts";
import { poolName } from "../../../pool-name.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { testParams, whyImpossible, whyLeftOut } from "./test-params.ts";

export interface GenerateOptions extends PoolOptions, LocalOptions {
  readonly count: number;
}

interface TestTask {
  readonly id: string;
  readonly task_type: string;
  readonly params: Readonly<Record<string, never>>;
}

/**
 * Puts test tasks with synthetic files and prompts in the queue.
 * @param names the types; none: all that can be tried out without cost
 * @throws ClientError
 */
export async function generateTasks(
  context: Context,
  names: readonly string[],
  options: GenerateOptions,
): Promise<void> {
  const { output, env } = context;
  const file = localFile(context, options);
  const types = names.length === 0 ? usualTypes(context) : names.map(namedType);
  const tasksWith = (samples: Samples) =>
    types.flatMap((type, place) =>
      Array.from({ length: options.count }, (_, index) => testTask(type, samples, place * options.count + index)),
    );
  let tasks: TestTask[];
  if (file === null) {
    const pool = options.pool !== undefined || env["GPU_POOL"] ? poolName(context, options) : null;
    tasks = tasksWith(await storedSamples(context));
    const rows = tasks.map((task) => ({ ...task, ...(pool !== null && { pool }) }));
    await taskStore(await context.connections.database()).submit(rows);
  } else {
    tasks = tasksWith(await makeSamples(join(dirname(file), "samples"), env["FFMPEG_PATH"] ?? null));
    const rows = tasks;
    await withLocalFile(file, true, (database) => localTasks(database).submit(rows));
  }
  if (options.json) {
    output.printJson({ tasks: tasks.map(({ id, task_type }) => ({ id, task_type })) });
  } else {
    output.print(tasks.map(({ id, task_type: type }) => `${id}  ${type}`));
  }
}

function testTask(type: TaskType, samples: Samples, index: number): TestTask {
  return { id: randomUUID(), task_type: type.name, params: testParams(type, samples, index) };
}

function usualTypes({ output }: Context): TaskType[] {
  const left = TASK_TYPES.flatMap(({ name }) => {
    const why = whyLeftOut(name);
    return why === null ? [] : [`${name} (${why})`];
  });
  output.note(`gpu-pool: left out: ${left.join(", ")}`);
  return TASK_TYPES.filter(({ name }) => whyLeftOut(name) === null);
}

function namedType(name: string): TaskType {
  const type = findTaskType(name);
  if (type === undefined) {
    throw new ClientError(EXIT.usage, `the table has no task type ${name}`, "gpu-pool types lists them.");
  }
  const why = whyImpossible(type.name);
  if (why !== null) {
    throw new ClientError(EXIT.usage, `no test task of type ${name}: ${why}`);
  }
  return type;
}

/** The samples in the project's storage, where any worker may read them. */
async function storedSamples(context: Context): Promise<Samples> {
  const { videoBucket } = loadConfig(context.env, { need: ["database"] }).supabase;
  const store = sampleStore(await context.connections.database(), videoBucket);
  return await temporaryFolder(async (folder) => {
    const { pictures, mask, clips } = await makeSamples(folder, context.env["FFMPEG_PATH"] ?? null);
    const put = async (path: string) => {
      const type = path.endsWith(".png") ? "image/png" : "video/mp4";
      return await store.put(basename(path), await readFile(path), type);
    };
    const [first, second, third] = pictures;
    return {
      pictures: [await put(first), await put(second), await put(third)],
      mask: await put(mask),
      clips: [await put(clips[0]), await put(clips[1])],
    };
  });
}
