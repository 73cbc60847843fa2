import type { LocalDatabase } from "./local-database.ts";

/** A row of `tasks`. Times in ms are those of the machine. */
export interface LocalTask {
  readonly id: string;
  readonly task_type: string;
  /** JSON, unless another program wrote something else. */
  readonly params: string;
  readonly status: string;
  readonly dependant_on: string | null;
  readonly output_location: string | null;
  readonly created_at: string | null;
  readonly updated_at: string | null;
  readonly generation_started_at: string | null;
  readonly generation_processed_at: string | null;
  readonly project_id: string;
  readonly priority: number;
  readonly parent_id: string | null;
  readonly after_siblings: number;
  readonly worker_id: string | null;
  /** Those that count. */
  readonly attempts: number;
  /** The number of its last attempt. */
  readonly leases: number;
  readonly lease_token: string | null;
  readonly leased_at_ms: number | null;
  readonly progress: number | null;
  readonly progress_message: string | null;
  readonly progress_at_ms: number | null;
  readonly delegated_at_ms: number | null;
  readonly hand_backs: number;
  readonly delayed_until_ms: number | null;
  readonly failed_by: string | null;
  readonly error_message: string | null;
  readonly result_data: string | null;
}

/** As in the queue of Postgres; `completed` and `delegated` too. */
export type Cause = "completed" | "delegated" | "task_error" | "worker_died" | "stuck" | "released" | "cancelled";

export interface LocalAttempt {
  readonly task_id: string;
  readonly attempt: number;
  readonly worker_id: string | null;
  readonly lease_token: string;
  readonly started_at_ms: number | null;
  readonly ended_at_ms: number;
  readonly cause: Cause;
  readonly error: string | null;
  readonly progress: number | null;
}

export function findTask(database: LocalDatabase, id: string): LocalTask | undefined {
  return database.get<LocalTask>("select * from tasks where id = ?", id);
}

/** The text as JSON, or itself where it is none. */
export function parsed(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whether all that the task `t` waits for is complete. */
export const READY = `(dependant_on is null or exists (
    select 1 from tasks p where p.id = t.dependant_on and p.status = 'Complete'))
  and (after_siblings = 0 or not exists (
    select 1 from tasks s where s.parent_id = t.parent_id and s.id <> t.id and s.status <> 'Complete'))`;
