import { z } from "zod";
import { type Database, DatabaseError } from "./client.ts";

const INSERT_TIMEOUT_MS = 10_000;

export interface LogLine {
  /** ISO 8601. */
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly source_type: "orchestrator_gpu" | "orchestrator_api" | "worker";
  readonly source_id: string;
  readonly task_id?: string;
  readonly worker_id?: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface LogStore {
  /** At most 1,000 lines. @returns how many of them could not be written. @throws DatabaseError, also after 10 s */
  insert(lines: readonly LogLine[]): Promise<number>;
  /** Deletes what is older. @returns rows deleted now, and whether there is more. @throws DatabaseError */
  cleanUp(retentionHours: number): Promise<{ deleted: number; more: boolean }>;
}

const inserted = z.object({ errors: z.number() });

/** The table system_logs. */
export function logStore(database: Database): LogStore {
  return {
    async insert(lines) {
      const operation = "func_insert_logs_batch";
      const { data, error, status } = await database.client
        .rpc(operation, { logs: lines })
        .abortSignal(AbortSignal.timeout(INSERT_TIMEOUT_MS));
      if (error) {
        throw new DatabaseError(operation, status, error.code, error.message, error.hint);
      }
      return inserted.parse(data).errors;
    },
    cleanUp: (retentionHours) =>
      database.call(
        "func_cleanup_old_logs",
        { retention_hours: retentionHours },
        z.object({ deleted: z.number(), more: z.boolean() }),
      ),
  };
}
