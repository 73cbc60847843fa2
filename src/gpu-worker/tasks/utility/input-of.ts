import { shortJson } from "../../../../supabase/functions/_shared/text.ts";
import { FramesError } from "../../video/frames/arithmetic.ts";
import type { FileKind } from "../../../task-types/kinds.ts";
import type { InputFile, TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";
import { textValue } from "../values.ts";

const SHOWN_CHARS = 80;
const PICTURE = /\.(?:png|jpe?g|webp)$/i;

/**
 * The file that a parameter names, or that another task has made.
 * @param path the parameter with the file. @param taskId the parameter with the other task.
 * @throws ParamsError when neither leads to a file; Error when the other task has not ended.
 */
export async function inputOf(run: TaskRun, path: string, taskId: string, kind: FileKind): Promise<InputFile> {
  const given = textValue(run.values, path);
  if (given !== null) {
    return await run.inputs.fetch(path, given, kind);
  }
  const id = textValue(run.values, taskId) ?? "";
  const output = await run.graph.outputOf(id);
  if (output?.outputLocation != null) {
    // A task that makes a video of one frame makes a picture.
    const made = kind === "video" && PICTURE.test(output.outputLocation) ? "picture" : kind;
    return await run.inputs.fetch(taskId, output.outputLocation, made);
  }
  const found = output === null ? "there is no such task" : `that task is ${output.status} and has no output`;
  const message = `params.${taskId}: expected a task that has made a ${kind}, got ${shortJson(id, SHOWN_CHARS)}; ${found}`;
  throw output !== null && ["Queued", "In Progress"].includes(output.status)
    ? new Error(message)
    : new ParamsError(message);
}

/** Does what frames of a parameter's file are needed for. Frames that do not exist are the task's fault: a ParamsError names the field. */
export async function framesOfField<T>(field: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof FramesError ? new ParamsError(`params.${field}: ${error.message}`) : error;
  }
}

/** The figures of a picture or video. @throws ParamsError when the file was probed as neither. */
export function shapeOf(field: string, { width, height }: InputFile): { width: number; height: number } {
  if (width === null || height === null) {
    throw new ParamsError(`params.${field}: expected a picture or video, got a file without size`);
  }
  return { width, height };
}
