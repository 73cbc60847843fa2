import type { Lease } from "./queue.ts";

/** A file on this machine that belongs to a result. */
export interface OutputFile {
  readonly path: string;
  readonly filename: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  /** Which file it is, whatever lies at its path later. */
  readonly identity: string;
}

/** Where a file of a result is from now on. */
export interface Delivered {
  /** As a completion names it. */
  readonly storagePath: string;
  /** As a result names it: an address, or a path relative to the public directory. */
  readonly location: string;
}

/** The place that keeps the files of results. */
export interface FileStore {
  /**
   * Stores the files of a task and sees that each is there with its full size. Repeats through outages until the signal
   * aborts. A file that an earlier try of the same attempt stored counts if its size is equal.
   * @returns one answer for each file, in their order
   * @throws QueueError when the place declines a file or holds another file under its name; the signal's reason.
   */
  deliver(lease: Lease, files: readonly OutputFile[], signal: AbortSignal): Promise<readonly Delivered[]>;
}
