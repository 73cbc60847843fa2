/** `isBusy`: another process kept the file locked for too long, or the disk is full; the same call may succeed later. */
export class LocalDatabaseError extends Error {
  override readonly name = "LocalDatabaseError";
  readonly isBusy: boolean;

  constructor(file: string, detail: string, isBusy: boolean, cause?: unknown) {
    super(`${file}: ${detail}`, { cause });
    this.isBusy = isBusy;
  }
}

export type Value = string | number | null;

/** A file of tasks, opened. Every call throws LocalDatabaseError. */
export interface LocalDatabase {
  readonly file: string;
  all<T>(statement: string, ...values: Value[]): T[];
  get<T>(statement: string, ...values: Value[]): T | undefined;
  /** @returns how many rows it changed */
  run(statement: string, ...values: Value[]): number;
  /** All statements of `work` in one transaction, which no other process writes beside. */
  write<T>(work: () => T): T;
  /** Changes when another process has committed a write. Reads memory that the processes share, never the disk. */
  version(): number;
  close(): void;
}
