import { basename } from "node:path";
import { orAbort } from "./abort.ts";
import { describeFile, isVisual, thumbnailOf } from "./output-files.ts";
import type { Delivered, FileStore, OutputFile } from "./queue/file-store.ts";
import type { ResultFile, ResultInput } from "./result.ts";
import type { Outcome, TaskRun } from "./tasks/handler.ts";

type Files = Extract<Outcome, { kind: "files" }>;

interface DeliveredOutcome {
  readonly main: Delivered;
  readonly facts: Pick<ResultInput, "files" | "thumbnail" | "facts" | "fileSizeBytes">;
}

/** Measures the files of an outcome, makes a thumbnail where none is given, and stores them all. @throws as `FileStore` does */
export async function deliverOutcome(outcome: Files, run: TaskRun, fileStore: FileStore): Promise<DeliveredOutcome> {
  const { ffmpeg, signal } = run;
  const { main: mainPath, others: otherPaths = [] } = outcome;
  // Before anything reads them: a link could lead to a file that is not the task's.
  for (const path of [mainPath, ...otherPaths]) {
    await describeFile(path, run.workDir);
  }
  const thumbnailPath = await thumbnailOf(ffmpeg, mainPath, outcome.thumbnail, run.workDir);
  const paths = [mainPath, ...(thumbnailPath === null ? [] : [thumbnailPath]), ...otherPaths];
  for (const path of paths) {
    // A name without the attempt would let a worker whose lease has ended replace a later result.
    if (!basename(path).startsWith(run.basename)) {
      throw new Error(`the result file ${basename(path)} is not named after its attempt, ${run.basename}`);
    }
  }
  const facts = isVisual(mainPath) ? await orAbort(run.debug.factsOf(mainPath), signal) : null;
  const described = await Promise.all(paths.map((path) => describeFile(path, run.workDir)));
  const delivered = await fileStore.deliver(run.task, described, signal);
  const files = described.map((file, index) => toResultFile(file, delivered[index]!));
  const [main, ...others] = files;
  const thumbnail = thumbnailPath === null ? null : (others.shift() ?? null);
  const { sizeBytes: fileSizeBytes } = described[0]!;
  return { main: delivered[0]!, facts: { files: [main!, ...others], thumbnail, facts, fileSizeBytes } };
}

function toResultFile({ contentType }: OutputFile, { location }: Delivered): ResultFile {
  return { location, contentType };
}
