import { z } from "zod";
import type { Database } from "./client.ts";

export interface LogLine {
  /** ISO 8601. */
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly source_type: "orchestrator_gpu" | "orchestrator_api" | "worker";
  readonly source_id: string;
  readonly task_id?: string;
  readonly worker_id?: string;
  readonly cycle_number?: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface LogStore {
  /** At most 1,000 lines. @returns how many of them could not be written. @throws DatabaseError */
  insert(lines: readonly LogLine[]): Promise<number>;
  /** Deletes what is older. @returns rows deleted now, and whether there is more. @throws DatabaseError */
  cleanUp(retentionHours: number): Promise<{ deleted: number; more: boolean }>;
}

const inserted = z.object({ errors: z.number() });

/** The table system_logs, as processes write it. */
export function logStore(database: Database): LogStore {
  return {
    async insert(lines) {
      return (await database.call("func_insert_logs_batch", { logs: lines }, inserted)).errors;
    },
    cleanUp: (retentionHours) =>
      database.call(
        "func_cleanup_old_logs",
        { retention_hours: retentionHours },
        z.object({ deleted: z.number(), more: z.boolean() }),
      ),
  };
}
