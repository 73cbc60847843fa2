import { z } from "zod";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";

/** A worker process as it makes itself known. */
export interface ProcessIdentity {
  /** A UUID of this run of the process. */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly taskQueue: string;
}

const living = z.array(
  camelized(
    z.object({
      host: z.string(),
      pid: z.number().nullable(),
      version: z.string(),
      task_queue: z.string(),
      leads: z.boolean(),
      started_ms: z.number(),
      seen_ms: z.number(),
    }),
  ),
);

/** A Temporal worker process that gave a sign of life within a minute; times by the database's clock. */
export type LivingProcess = z.infer<typeof living>[number];

const beat = z.object({ leader: z.boolean(), wake: z.array(z.string()) });

export interface ProcessStore {
  /**
   * Records a sign of life. At most one process is the leader at any time.
   * @param woken pools for which a request to wake was met
   * @param diskFree the free part of its disk, from 0 to 1; null: not known
   * @returns wake: the pools that this process has to run a cycle for; no other process is told within 15 s
   */
  beat(identity: ProcessIdentity, woken: readonly string[], diskFree: number | null): Promise<z.infer<typeof beat>>;
  /** Removes the process, so that another one leads. */
  end(id: string): Promise<void>;
  /** The oldest first. */
  living(): Promise<LivingProcess[]>;
}

/** The tables worker_processes and wake_requests. Every call throws DatabaseError. */
export function processStore(database: Database): ProcessStore {
  return {
    beat: ({ id, host, pid, version, taskQueue }, woken, diskFree) =>
      database.call(
        "process_beat",
        {
          p_process: id,
          p_host: host,
          p_pid: pid,
          p_version: version,
          p_task_queue: taskQueue,
          p_woken: woken,
          p_disk_free: diskFree,
        },
        beat,
      ),
    async end(id) {
      await database.call("process_end", { p_process: id }, z.null());
    },
    living: () => database.call("living_processes", {}, living),
  };
}
