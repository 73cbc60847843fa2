import { z } from "zod";
import type { WorkerStatus } from "../contract/inputs.ts";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";
import { DatabaseError } from "./database-error.ts";
import { answerOf, quoted, readAll, readOne, sendable, shaped } from "./requests.ts";
import { type Change, type Row, TABLES } from "./tables.ts";

export type WorkerRecord = Row<"workers">;

export interface WorkerFilter {
  readonly status?: readonly WorkerStatus[];
  readonly pool?: string;
}

const SEEN =
  "id, pool, status, origin, instance_type, pod_id, boot_stage, boot_stage_at, created_at, ready_at, last_heartbeat, vram_total_mb, vram_used_mb, status_reason, terminating_at, failed_at, failed_on, pod_created_at, deleted_at, gone_at, cost_per_hr_usd, cost_usd, held:task_attempts(task_id, progress, started_at, tasks(task_type))";

/** A worker as people see it: no credential, and the task that it holds. */
export interface SeenWorker extends Pick<
  WorkerRecord,
  | "id"
  | "pool"
  | "status"
  | "origin"
  | "instance_type"
  | "pod_id"
  | "boot_stage"
  | "boot_stage_at"
  | "created_at"
  | "ready_at"
  | "last_heartbeat"
  | "vram_total_mb"
  | "vram_used_mb"
  | "status_reason"
  | "terminating_at"
  | "failed_at"
  | "failed_on"
  | "pod_created_at"
  | "deleted_at"
  | "gone_at"
  | "cost_per_hr_usd"
  | "cost_usd"
> {
  /** At most one. */
  readonly held: readonly {
    readonly task_id: string;
    readonly progress: number | null;
    readonly started_at: string;
    readonly tasks: { readonly task_type: string } | null;
  }[];
}

/** A task that a worker held since some time, and for how long. */
export interface HeldTask {
  readonly task_id: string;
  readonly attempt: number;
  readonly worker_id: string;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly cause: string | null;
  readonly error: string | null;
  readonly tasks: { readonly task_type: string; readonly project_id: string | null } | null;
}

export interface StatusAnswer {
  readonly outcome: "unchanged" | "refused";
  readonly status: string;
  readonly reason: string;
}

/** A worker that is not gone yet: what it works on and what its pod has cost. */
export interface LivingWorker {
  readonly id: string;
  readonly taskType: string | null;
  /** Null: it has no pod that bills. */
  readonly billedFromMs: number | null;
  /** Null: its pod still bills. */
  readonly billedToMs: number | null;
  readonly costPerHourUsd: number;
}

interface FleetForPeople {
  /** Workers that are not gone, and with `goneSince` (ISO 8601) those that went since then; the oldest first. */
  seen(filter: { readonly pool?: string; readonly goneSince?: string }): Promise<SeenWorker[]>;
  /** Workers whose id begins so, gone ones too, at most `limit`. */
  workersWithPrefix(prefix: string, limit: number): Promise<SeenWorker[]>;
  /** What a worker held, the newest first, at most `limit`. */
  lastHeld(worker: string, limit: number): Promise<HeldTask[]>;
  /** What any worker has held since then (ISO 8601), also in part. */
  heldSince(since: string): Promise<HeldTask[]>;
}

export interface FleetStore extends FleetForPeople {
  /** By age, the oldest first, past the server's limit of rows per answer. */
  getWorkers(filter?: WorkerFilter): Promise<WorkerRecord[]>;
  living(pool: string): Promise<LivingWorker[]>;
  /** Cost in USD of the pool's pods that no longer bill. */
  bookedCost(pool: string): Promise<number>;
  /** Books an external worker, which becomes active by its first heartbeat. Pods are booked by the pool alone. */
  createWorkerRecord(id: string, instanceType: string, pool?: string): Promise<WorkerRecord>;
  /** A wish: only the lifecycle changes a status, so a different one is refused, kept as evidence and journaled. */
  updateWorkerStatus(id: string, status: WorkerStatus): Promise<StatusAnswer>;
  /** Evidence that a worker failed, kept in its row and journaled; the verdict is the lifecycle's. */
  markWorkerError(id: string, reason: string): Promise<StatusAnswer>;
  /** Puts the tasks of workers that are not living back into the queue. Answers how many leases ended. */
  resetOrphanedTasks(workerIds: readonly string[]): Promise<number>;
}

const HELD = "task_id, attempt, worker_id, started_at, ended_at, cause, error, tasks(task_type, project_id)";

const livingWorkers = z.array(
  camelized(
    z.object({
      id: z.string(),
      pod_created_at: z.string().nullable(),
      deleted_at: z.string().nullable(),
      cost_per_hr_usd: z.number().nullable(),
      task_attempts: z.array(z.object({ tasks: z.object({ task_type: z.string() }).nullable() })),
    }),
  ).transform((row): LivingWorker => ({
    id: row.id,
    taskType: row.taskAttempts[0]?.tasks?.taskType ?? null,
    billedFromMs: row.podCreatedAt === null ? null : Date.parse(row.podCreatedAt),
    billedToMs: row.deletedAt === null ? null : Date.parse(row.deletedAt),
    costPerHourUsd: row.costPerHrUsd ?? 0,
  })),
);

/** Workers for every caller but their own workflow. Reads, writes and errors are as in taskStore. */
export function fleetStore(database: Database): FleetStore {
  const client = database[TABLES];
  return {
    ...forPeople(database),
    async getWorkers({ status, pool } = {}) {
      const workers = await readAll<WorkerRecord>("getWorkers", (count, last) => {
        let rows = client.from("workers").select("*");
        rows = status === undefined ? rows : rows.in("status", status);
        rows = pool === undefined ? rows : rows.eq("pool", pool);
        rows = last === undefined ? rows : rows.gt("id", last.id);
        return rows.order("id").limit(count);
      });
      return workers.toSorted((one, other) => Date.parse(one.created_at) - Date.parse(other.created_at));
    },
    async living(pool) {
      const columns = "id, pod_created_at, deleted_at, cost_per_hr_usd, task_attempts(tasks(task_type))";
      const rows = await readAll<{ id: string }>("read workers", (count, last) => {
        const living = client.from("workers").select(columns).eq("pool", pool).is("gone_at", null);
        const after = last === undefined ? living : living.gt("id", last.id);
        return after.is("task_attempts.ended_at", null).order("id").limit(count);
      });
      return shaped("read workers", livingWorkers, rows);
    },
    async bookedCost(pool) {
      const rows = await readAll<{ id: string; cost_usd: number | null }>("read costs", (count, last) => {
        const booked = client.from("workers").select("id, cost_usd").eq("pool", pool).gt("cost_usd", 0);
        const after = last === undefined ? booked : booked.gt("id", last.id);
        return after.order("id").limit(count);
      });
      return rows.reduce((sum, { cost_usd: usd }) => sum + (usd ?? 0), 0);
    },
    async createWorkerRecord(id, instanceType, pool = "main") {
      const row = { id, instance_type: instanceType, pool };
      const request = client.from("workers").insert(sendable("createWorkerRecord", row)).select();
      const [created] = await answerOf("createWorkerRecord", request);
      if (created === undefined) {
        throw new DatabaseError("createWorkerRecord", 200, "", `the new row of worker ${id} was not answered`, null);
      }
      return created;
    },
    updateWorkerStatus: (id, status) => report(database, "updateWorkerStatus", id, { status }),
    markWorkerError: (id, reason) =>
      report(database, "markWorkerError", id, { status: "error", metadata: { error_reason: reason } }),
    resetOrphanedTasks: (workerIds) =>
      database.call("func_reset_orphaned_tasks", { failed_worker_ids: workerIds }, z.number()),
  };
}

function forPeople({ [TABLES]: client }: Database): FleetForPeople {
  return {
    async seen({ pool, goneSince }) {
      const rows = await readAll<SeenWorker>("read workers", (count, last) => {
        let seen = client.from("workers").select(SEEN).is("held.ended_at", null);
        seen = pool === undefined ? seen : seen.eq("pool", pool);
        seen =
          goneSince === undefined
            ? seen.is("gone_at", null)
            : seen.or(`gone_at.is.null,gone_at.gte.${quoted(goneSince)}`);
        const after = last === undefined ? seen : seen.gt("id", last.id);
        return after.order("id").limit(count).overrideTypes<SeenWorker[], { merge: false }>();
      });
      return rows.toSorted((one, other) => Date.parse(one.created_at) - Date.parse(other.created_at));
    },
    async workersWithPrefix(prefix, limit) {
      const pattern = `${prefix.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
      return await readOne<SeenWorker[]>("find worker", () =>
        client
          .from("workers")
          .select(SEEN)
          .is("held.ended_at", null)
          .like("id", pattern)
          .order("id")
          .limit(limit)
          .overrideTypes<SeenWorker[], { merge: false }>(),
      );
    },
    async lastHeld(worker, limit) {
      return await readOne<HeldTask[]>("read attempts", () =>
        client
          .from("task_attempts")
          .select(HELD)
          .eq("worker_id", worker)
          .order("started_at", { ascending: false })
          .limit(limit)
          .overrideTypes<HeldTask[], { merge: false }>(),
      );
    },
    async heldSince(since) {
      return await readAll<HeldTask>("read attempts", (count, last) => {
        const held = client
          .from("task_attempts")
          .select(HELD)
          .or(`ended_at.is.null,ended_at.gte.${quoted(since)}`);
        const { task_id: id = "", attempt = 0 } = last ?? {};
        const after = last === undefined ? held : held.gte("task_id", id).or(`task_id.gt.${id},attempt.gt.${attempt}`);
        return after.order("task_id").order("attempt").limit(count).overrideTypes<HeldTask[], { merge: false }>();
      });
    },
  };
}

async function report(
  database: Database,
  operation: string,
  id: string,
  columns: Change<"workers">,
): Promise<StatusAnswer> {
  const request = database[TABLES].from("workers").update(sendable(operation, columns)).eq("id", id).select("status");
  const [row] = await answerOf(operation, request);
  if (row === undefined) {
    throw new DatabaseError(operation, 404, "", `worker ${id} does not exist`, "See getWorkers.");
  }
  const { status } = row;
  return status === columns.status
    ? { outcome: "unchanged", status, reason: `worker ${id} is ${status}` }
    : {
        outcome: "refused",
        status,
        reason: `worker ${id} stays ${status}: only its lifecycle changes a status; ${columns.status} is kept as evidence`,
      };
}
