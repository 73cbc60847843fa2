import { callDatabase } from "./failure.ts";
import {
  ANY_TEXT,
  badField,
  type Body,
  filename as filenameOf,
  optionalFilename,
  optionalObject,
  optionalText,
  text,
  UUID,
} from "./fields.ts";
import type { FunctionClient, FunctionContext, FunctionHandler } from "./function-context.ts";
import { attemptName, ownAttempt, publicUrl, storedPath, storeFile } from "./task-files.ts";
import { workerFunction } from "./worker-function.ts";

interface StoredFiles {
  readonly path: string;
  readonly thumbnailPath: string | null;
}

function decode(body: Body, field: string): Uint8Array<ArrayBuffer> {
  try {
    const bytes = Uint8Array.from(atob(text(body, field, ANY_TEXT)), (char) => char.charCodeAt(0));
    if (bytes.length > 0) {
      return bytes;
    }
  } catch {
    // Reported below, with the field's name.
  }
  throw badField(field, "a file's bytes in base64");
}

async function storeFiles(
  body: Body,
  taskId: string,
  leaseToken: string | null,
  caller: FunctionClient,
  context: FunctionContext,
): Promise<StoredFiles> {
  const filename = filenameOf(body, "filename");
  const bytes = decode(body, "file_data");
  const firstFrame =
    body["first_frame_data"] == null
      ? null
      : {
          bytes: decode(body, "first_frame_data"),
          name: optionalFilename(body, "first_frame_filename") ?? `thumb_${taskId.slice(0, 8)}.jpg`,
        };
  if (firstFrame?.name === filename) {
    throw badField("first_frame_filename", "another name than filename");
  }
  const { attempt, isCompleted } = await ownAttempt(caller, taskId, leaseToken);
  // A repetition stores nothing: the answer names the files that the task was completed with.
  const store = async (name: string, content: Uint8Array<ArrayBuffer>) =>
    isCompleted
      ? `${taskId}/${attemptName(name, attempt)}`
      : storeFile(context, taskId, attemptName(name, attempt), content);
  const thumbnailPath = firstFrame === null ? null : await store(firstFrame.name, firstFrame.bytes);
  return { path: await store(filename, bytes), thumbnailPath };
}

/** The files that the caller has stored already, by their path, or by the public address of an object in the bucket. */
function namedFiles(body: Body, context: FunctionContext): StoredFiles {
  const thumbnailPath = optionalText(body, "thumbnail_storage_path", ANY_TEXT);
  const path = optionalText(body, "storage_path", ANY_TEXT);
  if (path !== null) {
    return { path, thumbnailPath };
  }
  const location = optionalText(body, "output_location", ANY_TEXT);
  if (location === null) {
    throw badField("file_data", "given, or storage_path, or output_location");
  }
  const stored = storedPath(context, location);
  if (stored === null) {
    throw badField("output_location", `the public address of an object in the bucket ${context.videoBucket}`);
  }
  return { path: stored, thumbnailPath };
}

/**
 * Completes a task with stored files. Throws FunctionFailure 409 when the database does not find them in storage.
 * @param result what the worker says of them; null: their addresses are the result
 */
export async function finishWithFiles(
  taskId: string,
  leaseToken: string | null,
  files: StoredFiles,
  caller: FunctionClient,
  context: FunctionContext,
  result: Body | null = null,
): Promise<Response> {
  const url = publicUrl(context, files.path);
  const thumbnail = files.thumbnailPath === null ? null : publicUrl(context, files.thumbnailPath);
  const finished = await callDatabase(caller, "api_finish_task", {
    p_task_id: taskId,
    p_storage_path: files.path,
    p_output_location: url,
    p_result: result ?? { video_url: url, ...(thumbnail !== null && { thumbnail_url: thumbnail }) },
    p_lease_token: leaseToken,
  });
  const stored = (finished["result_data"] ?? {}) as { thumbnail_url?: unknown };
  return Response.json({
    success: true,
    task_id: taskId,
    public_url: finished["output_location"],
    thumbnail_url: stored.thumbnail_url ?? null,
    message: "Task completed",
  });
}

/**
 * Completes a task: with the file itself (`file_data`, `filename`, `first_frame_data?`, `first_frame_filename?`), with
 * `storage_path` of an uploaded object, or with its public address as `output_location`. The database verifies that the
 * object is in storage. `result_data?` becomes the task's result.
 */
export const completeTask: FunctionHandler = workerFunction("complete-task", async (body, caller, context) => {
  const taskId = text(body, "task_id", UUID);
  const leaseToken = optionalText(body, "lease_token", UUID);
  const result = optionalObject(body, "result_data");
  const files =
    body["file_data"] == null ? namedFiles(body, context) : await storeFiles(body, taskId, leaseToken, caller, context);
  return finishWithFiles(taskId, leaseToken, files, caller, context, result);
});
