import type { SubTask, TaskOutput } from "../../../src/gpu-worker/queue/queue.ts";
import { type FakeTaskOptions, type FakeTaskResult, runFakeTask } from "./fake-task.ts";

export interface FakeGraph {
  readonly subTasks: readonly SubTask[];
  /** How each sub-task ended, by its id. */
  readonly results: ReadonlyMap<string, FakeTaskResult>;
  /** The sub-task that gives the orchestrator task its output. */
  readonly result: FakeTaskResult;
}

/** Runs an orchestrator task and then its sub-tasks, in their order, as GPU workers do, without any server. */
export async function runFakeGraph(folder: string, options: FakeTaskOptions): Promise<FakeGraph> {
  const { delegated, failure } = await runFakeTask(folder, options);
  if (delegated === null) {
    throw new Error(`${options.taskType} delegated nothing: ${failure?.message ?? "without an error"}`);
  }
  const outputs: Record<string, TaskOutput> = {};
  const results = new Map<string, FakeTaskResult>();
  for (const { id, taskType, params, dependantOn } of delegated.subTasks) {
    const predecessor = dependantOn === null ? undefined : outputs[dependantOn];
    const ended = await runFakeTask(folder, {
      ...options,
      taskType,
      params,
      outputs,
      ...(predecessor && { predecessor }),
    });
    const outputLocation = ended.main();
    outputs[id] = { taskId: id, status: "Complete", outputLocation, resultData: ended.result };
    results.set(id, ended);
  }
  return { subTasks: delegated.subTasks, results, result: results.get(delegated.resultTaskId)! };
}
