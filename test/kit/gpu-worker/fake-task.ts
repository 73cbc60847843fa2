import { randomUUID } from "node:crypto";
import { copyFile, mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import type { Engine } from "../../../src/gpu-worker/engines/engine.ts";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import type { OpenInputs } from "../../../src/gpu-worker/inputs/inputs.ts";
import { createOrders, type Orders } from "../../../src/gpu-worker/orders.ts";
import type { FileStore } from "../../../src/gpu-worker/queue/file-store.ts";
import type {
  ClaimedTask,
  Completion,
  KeptRequest,
  Queue,
  SegmentOutput,
  SubTask,
  TaskOutput,
} from "../../../src/gpu-worker/queue/queue.ts";
import { createRouter, type Router } from "../../../src/gpu-worker/router.ts";
import { runTask, type TaskEnd } from "../../../src/gpu-worker/run-task.ts";
import { ParamsError } from "../../../src/gpu-worker/tasks/params-error.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";

export interface FakeTaskOptions {
  readonly taskType: string;
  readonly params: object;
  readonly attempt?: number;
  readonly projectId?: string | null;
  /** Default: previews. */
  readonly engine?: Engine;
  readonly router?: Router;
  /** What other tasks of the graph have made, by their ids. */
  readonly outputs?: Readonly<Record<string, TaskOutput>>;
  readonly predecessor?: TaskOutput;
  readonly segments?: readonly SegmentOutput[];
  /** Replaces the inputs of the kit, which take paths on this machine and nothing else. */
  readonly openInputs?: OpenInputs;
  readonly orders?: Orders;
  readonly logger?: Logger;
}

/** How a task ended, as its queue was told. */
export interface FakeTaskResult {
  readonly end: TaskEnd;
  readonly task: ClaimedTask;
  readonly completion: Completion | null;
  /** `result_data`; empty where the task was not completed. */
  readonly result: Readonly<Record<string, unknown>>;
  readonly failure: { readonly message: string; readonly permanent: boolean } | null;
  readonly delegated: { readonly subTasks: readonly SubTask[]; readonly resultTaskId: string } | null;
  readonly progress: readonly { readonly fraction: number; readonly message: string }[];
  /** Paths of what was stored, by the files' names. */
  readonly stored: ReadonlyMap<string, string>;
  /** The path of the main file. @throws Error that quotes the failure */
  main(): string;
  /** The directory in which the attempt worked. */
  readonly outputDir: string;
}

/**
 * Runs one task of any type as the GPU worker does, with a queue and a store of files in this process: no server, no database.
 * @param directory the caller's; work and results go into it
 */
export async function runFakeTask(directory: string, options: FakeTaskOptions): Promise<FakeTaskResult> {
  const ffmpegPath = await findFfmpeg(null);
  const outputDir = await mkdtemp(join(directory, "work-"));
  const task: ClaimedTask = {
    taskId: randomUUID(),
    leaseToken: randomUUID(),
    taskType: options.taskType,
    params: options.params,
    attempt: options.attempt ?? 1,
    projectId: options.projectId ?? null,
  };
  const told = createTold(options);
  const store = createFakeStore(join(directory, `stored-${task.taskId}`));
  const engine = options.engine ?? createPreviewEngine(ffmpegPath);
  const { end } = await runTask(
    {
      queue: told.queue,
      fileStore: store.fileStore,
      router: options.router ?? createRouter(engine),
      engine,
      openInputs: options.openInputs ?? localInputs,
      orders: options.orders ?? createOrders(() => undefined),
      logger: options.logger ?? pino({ level: "silent" }),
      workerId: "fake-worker",
      outputDir,
      ffmpegPath,
    },
    task,
  );
  const { completion, failure } = told;
  return {
    end,
    task,
    completion,
    result: { ...completion?.result },
    failure,
    delegated: told.delegated,
    progress: told.progress,
    stored: store.stored,
    main() {
      const path = completion && store.stored.get(completion.storagePath.split("/")[1] ?? "");
      if (!path) {
        throw new Error(`the task ended as ${end}: ${failure?.message ?? "nothing was stored"}`);
      }
      return path;
    },
    outputDir,
  };
}

function createTold(options: FakeTaskOptions) {
  const told = {
    completion: null as Completion | null,
    failure: null as FakeTaskResult["failure"],
    delegated: null as FakeTaskResult["delegated"],
    progress: [] as { fraction: number; message: string }[],
  };
  const requests = new Map<string, NonNullable<KeptRequest["request"]>>();
  const nothing = { workerStatus: "active", task: null };
  const queue: Queue = {
    heartbeat: async () => "active",
    claim: async () => nothing,
    async reportProgress(_lease, fraction, message) {
      told.progress.push({ fraction, message });
      return true;
    },
    async finish(_lease, completion) {
      told.completion = completion;
      return "completed";
    },
    async finishAndClaim(_lease, completion) {
      told.completion = completion;
      return { outcome: "completed", ...nothing };
    },
    async delegate(_lease, subTasks, resultTaskId) {
      told.delegated = { subTasks, resultTaskId };
      return "delegated";
    },
    async fail(_lease, message, permanent) {
      told.failure = { message, permanent };
      return permanent ? "failed" : "requeued";
    },
    release: async () => "released",
    async keepRequest(_lease, service, request) {
      if (request === null) {
        requests.delete(service);
      } else {
        requests.set(service, { ...request, attempt: options.attempt ?? 1, askedAtMs: Date.now() });
      }
      return true;
    },
    keptRequest: async (_lease, service) => ({
      held: true,
      taskStatus: "In Progress",
      request: requests.get(service) ?? null,
    }),
    outputOf: async (_lease, taskId) => options.outputs?.[taskId] ?? null,
    predecessorOutput: async () => options.predecessor ?? null,
    completedSegments: async () => options.segments ?? [],
  };
  return Object.assign(told, { queue });
}

function createFakeStore(folder: string): { fileStore: FileStore; stored: Map<string, string> } {
  const stored = new Map<string, string>();
  return {
    stored,
    fileStore: {
      async deliver({ taskId }, files) {
        await mkdir(folder, { recursive: true });
        for (const { path, filename } of files) {
          await copyFile(path, join(folder, filename));
          stored.set(filename, join(folder, filename));
        }
        return files.map(({ filename }) => ({
          storagePath: `${taskId}/${filename}`,
          location: join(folder, filename),
        }));
      },
    },
  };
}

/** Takes paths on this machine, without any limit. */
export const localInputs: OpenInputs = ({ ffmpeg }) => ({
  async fetch(field, path, kind) {
    if (kind === "file") {
      return { path, kind, width: null, height: null, frames: null, fps: null, hasAudio: false };
    }
    const facts = await probeVideo(path, ffmpeg.path).catch((error: Error) => {
      throw new ParamsError(`params.${field}: ${error.message}`);
    });
    const { width, height, frames, fps } = facts;
    return { path, kind, width, height, frames, fps, hasAudio: false };
  },
});

export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "gpu-worker-test-"));
}
