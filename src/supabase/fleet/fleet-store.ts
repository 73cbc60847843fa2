import { z } from "zod";
import type { WorkerStatus } from "../../contract/inputs.ts";
import type { Database } from "../client.ts";
import { DatabaseError } from "../database-error.ts";
import { withHeldTasks } from "./held-tasks.ts";
import { answerOf, readAll, readOne, sendable } from "../requests.ts";
import { type Change, type Row, TABLES } from "../tables.ts";

export type WorkerRecord = Row<"workers">;

export interface WorkerFilter {
  readonly status?: readonly WorkerStatus[];
  readonly pool?: string;
}

const SEEN =
  "id, pool, status, origin, instance_type, pod_id, boot_stage, boot_stage_at, created_at, ready_at, last_heartbeat, vram_total_mb, vram_used_mb, status_reason, terminating_at, failed_at, failed_on, pod_created_at, deleted_at, gone_at, cost_per_hr_usd, cost_usd";

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

/** A task that a worker held, and for how long. */
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

interface Held {
  /** What a worker held, the newest first, at most `limit`. */
  lastHeld(worker: string, limit: number): Promise<HeldTask[]>;
}

interface FleetForPeople extends Held {
  /** All workers that are not gone, past the server's limit of rows per answer; the oldest first. */
  seen(): Promise<SeenWorker[]>;
  /** Workers whose id begins so, gone ones too, at most `limit`. */
  workersWithPrefix(prefix: string, limit: number): Promise<SeenWorker[]>;
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

/** An open or a completed attempt stands in its task's row. */
const OWN =
  "task_id:id, attempt:leases, worker_id, started_at:leased_at, ended_at:lease_ended_at, task_type, project_id";
const ENDED = "task_id, attempt, worker_id, started_at, ended_at, cause, error, tasks(task_type, project_id)";

const LIVING = "id, pod_created_at, deleted_at, cost_per_hr_usd";

type LivingRow = Pick<WorkerRecord, "id" | "pod_created_at" | "deleted_at" | "cost_per_hr_usd">;

/** Workers for every caller but their own workflow. Reads, writes and errors are as in taskStore. */
export function fleetStore(database: Database): FleetStore {
  const client = database[TABLES];
  return {
    ...forPeople(database),
    ...heldTasks(database),
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
      const rows = await readAll<LivingRow>("read workers", (count, last) => {
        const living = client.from("workers").select(LIVING).eq("pool", pool).is("gone_at", null);
        const after = last === undefined ? living : living.gt("id", last.id);
        return after.order("id").limit(count);
      });
      return (await withHeldTasks(database, rows)).map((row) => ({
        id: row.id,
        taskType: row.held?.task_type ?? null,
        billedFromMs: row.pod_created_at === null ? null : Date.parse(row.pod_created_at),
        billedToMs: row.deleted_at === null ? null : Date.parse(row.deleted_at),
        costPerHourUsd: row.cost_per_hr_usd ?? 0,
      }));
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

function forPeople(database: Database): Omit<FleetForPeople, keyof Held> {
  const { [TABLES]: client } = database;
  return {
    async seen() {
      const rows = await readAll<SeenRow>("read workers", (count, last) => {
        const seen = client.from("workers").select(SEEN).is("gone_at", null);
        const after = last === undefined ? seen : seen.gt("id", last.id);
        return after.order("id").limit(count).overrideTypes<SeenRow[], { merge: false }>();
      });
      const workers = await seenWorkers(database, rows);
      return workers.toSorted((one, other) => Date.parse(one.created_at) - Date.parse(other.created_at));
    },
    async workersWithPrefix(prefix, limit) {
      const pattern = `${prefix.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
      const rows = await readOne<SeenRow[]>("find worker", () =>
        client
          .from("workers")
          .select(SEEN)
          .like("id", pattern)
          .order("id")
          .limit(limit)
          .overrideTypes<SeenRow[], { merge: false }>(),
      );
      return await seenWorkers(database, rows);
    },
  };
}

function heldTasks({ [TABLES]: client }: Database): Held {
  return {
    async lastHeld(worker, limit) {
      // A worker begins one task after the other.
      const own = await readAll<OwnAttempt>(
        "read tasks",
        (count, last) => {
          const held = client.from("tasks").select(OWN).eq("worker_id", worker).not("lease_token", "is", null);
          const before = last === undefined ? held : held.lt("leased_at", last.started_at);
          const newest = before.order("leased_at", { ascending: false }).limit(count);
          return newest.overrideTypes<OwnAttempt[], { merge: false }>();
        },
        limit,
      );
      const ended = await readAll<HeldTask>(
        "read attempts",
        (count, last) => {
          const held = client.from("ended_attempts").select(ENDED).eq("worker_id", worker);
          const before = last === undefined ? held : held.lt("started_at", last.started_at);
          const newest = before.order("started_at", { ascending: false }).limit(count);
          return newest.overrideTypes<HeldTask[], { merge: false }>();
        },
        limit,
      );
      return [...own.map(heldTask), ...ended]
        .toSorted((one, other) => Date.parse(other.started_at) - Date.parse(one.started_at))
        .slice(0, limit);
    },
  };
}

type SeenRow = Omit<SeenWorker, "held">;

async function seenWorkers(database: Database, rows: readonly SeenRow[]): Promise<SeenWorker[]> {
  const workers = await withHeldTasks(database, rows);
  return workers.map(({ held, ...worker }) => {
    if (held === null) {
      return { ...worker, held: [] };
    }
    const { task_id, progress, started_at, task_type } = held;
    return { ...worker, held: [{ task_id, progress, started_at, tasks: { task_type } }] };
  });
}

type OwnAttempt = Omit<HeldTask, "cause" | "error" | "tasks"> & NonNullable<HeldTask["tasks"]>;

function heldTask({ task_type, project_id, ...attempt }: OwnAttempt): HeldTask {
  const cause = attempt.ended_at === null ? null : "completed";
  return { ...attempt, cause, error: null, tasks: { task_type, project_id } };
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
