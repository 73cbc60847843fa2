import type { Logger } from "pino";
import type { FileKind } from "../../task-types/kinds.ts";
import type { TaskType } from "../../task-types/task-type.ts";
import type { Debug, Expected } from "../debug/debug.ts";
import type { Engine, EngineJob, NotHonoured } from "../engines/engine.ts";
import type { ClaimedTask, KeptRequest, SegmentOutput, ServiceRequest, SubTask, TaskOutput } from "../queue/queue.ts";
import type { Ffmpeg } from "../video/ffmpeg.ts";

/** An input file on this machine, as probed. The figures of what is neither picture nor video are null. */
export interface InputFile {
  readonly path: string;
  readonly kind: FileKind;
  readonly width: number | null;
  readonly height: number | null;
  readonly frames: number | null;
  readonly fps: number | null;
  readonly hasAudio: boolean;
}

/** Files that a task's parameters name. */
export interface Inputs {
  /**
   * Brings a file onto this machine, or answers the one that was fetched for the same URL before.
   * @param field the parameter, such as "video_guide"; errors name it
   * @throws ParamsError naming field, value and what is allowed; other errors may pass by themselves
   */
  fetch(field: string, urlOrPath: string, kind: FileKind): Promise<InputFile>;
}

/** What other tasks of the same graph have made. Every call throws QueueError. */
export interface Graph {
  outputOf(taskId: string): Promise<TaskOutput | null>;
  /** That of the task which this one depends on. */
  predecessorOutput(): Promise<TaskOutput | null>;
  completedSegments(runId: string): Promise<readonly SegmentOutput[]>;
}

/** Requests of this task to paid services. Every call throws QueueError, and is tried again by itself. */
export interface Requests {
  /** Answers whether the lease is still held; null: forgets it. */
  keep(service: string, request: ServiceRequest | null): Promise<boolean>;
  /** @param signal ends the tries; left out: that of the attempt */
  kept(service: string, signal?: AbortSignal): Promise<KeptRequest>;
}

/** One attempt at a task. */
export interface TaskRun {
  readonly task: ClaimedTask;
  readonly type: TaskType;
  /** The type's parameters by their names, defaults included. `seed` is never -1. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Private to this attempt, and removed afterwards unless debugging keeps it. Results lie in it too. */
  readonly workDir: string;
  /** `task_<id>_a<attempt>`. The names of result files begin so: no attempt overwrites the file of another. */
  readonly basename: string;
  /** Aborts with an Interruption when the task has to be broken off. */
  readonly signal: AbortSignal;
  /** `fraction` from 0 to 1. Called only when the work has advanced: a task without progress counts as stuck. */
  readonly progress: (fraction: number, message: string) => void;
  readonly logger: Logger;
  /** Measures files after each step, and compares them with what was expected. The engine's files are measured by themselves. */
  readonly debug: Debug;
  readonly engine: Engine;
  readonly ffmpeg: Ffmpeg;
  readonly inputs: Inputs;
  readonly graph: Graph;
  readonly requests: Requests;
  /**
   * Stores a file before the task ends, as an orchestrator does for its sub-tasks. Its name begins with `basename`.
   * @returns where any worker finds it
   */
  readonly store: (path: string) => Promise<string>;
}

/**
 * - `files`: paths in `workDir`. `main` becomes the task's `output_location`; its thumbnail is made where none is given.
 *   `result` adds keys to `result_data`. `notHonoured` names parameters of the type that had no effect: entries of those that
 *   were not given are left out, the others appear by the names under which they were given.
 * - `delegated`: the sub-tasks' rows are written and the task waits for them, in one transaction.
 */
export type Outcome =
  | {
      readonly kind: "files";
      readonly main: string;
      /** What it should be. Where it is not, the log warns and the result's analysis says so. */
      readonly expected?: Expected;
      readonly thumbnail?: string;
      readonly others?: readonly string[];
      readonly model: string | null;
      /** What made it, where that is not the engine. */
      readonly engine?: string;
      readonly result?: Readonly<Record<string, unknown>>;
      readonly notHonoured?: readonly NotHonoured[];
    }
  | { readonly kind: "delegated"; readonly subTasks: readonly SubTask[]; readonly resultTaskId: string };

/** @throws ParamsError when no attempt can succeed; any other error: the task is tried again, here or on another worker. */
export type Handler = (run: TaskRun) => Promise<Outcome>;

/** How tasks of one type are done. */
export interface TypeHandler {
  readonly handle: Handler;
  /** What the engine must be able to do; without it the type is not done here. */
  readonly jobs: readonly EngineJob[];
}

/** By the types' names. */
export type TypeHandlers = Readonly<Record<string, TypeHandler>>;

/** The handler of this name in a module, which is loaded with its first task: most workers never do most types. */
export function lazily<Name extends string>(load: () => Promise<Readonly<Record<Name, Handler>>>, name: Name): Handler {
  return async (run) => await (await load())[name](run);
}
