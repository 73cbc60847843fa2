import { z } from "zod";
import { type Database, DatabaseError } from "./client.ts";
import type { Schema } from "./generated-types.ts";
import { answerOf, readAll, readOne } from "./requests.ts";

type Tables = Schema["public"]["Tables"];
type Views = Schema["public"]["Views"];
export type TaskRow = Tables["tasks"]["Row"];
export type WorkerRecord = Tables["workers"]["Row"];
export type TaskStatus = "Queued" | "In Progress" | "Complete" | "Failed" | "Cancelled";
export type WorkerStatus = "spawning" | "active" | "terminating" | "terminated" | "error";
type Analysis = "orchestrator_status" | "worker_performance" | "task_queue_analysis" | "worker_costs";

export interface Claimed {
  readonly taskId: string;
  readonly taskType: string;
  readonly params: unknown;
  readonly projectId: string;
  readonly attempt: number;
  readonly leaseToken: string;
}

export interface TaskFilter {
  readonly status?: readonly TaskStatus[];
  readonly pool?: string;
  readonly projectId?: string;
  readonly workerId?: string;
  /** The newest rows up to this many; left out: all of them. */
  readonly limit?: number;
}

export interface WorkerFilter {
  readonly status?: readonly WorkerStatus[];
  readonly pool?: string;
}

/**
 * The database as an orchestrator's program wants it. Every method throws DatabaseError, which says what failed and why;
 * an empty answer is an empty table, never a failure. Reads are tried three times when no answer comes or the service
 * is overloaded; writes are tried once, because an unanswered one may have happened.
 */
export interface Operations {
  /** Newest first, past the server's limit of rows per answer. */
  getTasks(filter?: TaskFilter): Promise<TaskRow[]>;
  /** What may be claimed and what runs, each counted up to 10,000; by the predicate that claims use. */
  countAvailableTasks(runType?: "gpu" | "api"): Promise<{ queued: number; active: number }>;
  /** The worker's own open task first, else the head of its pool's line; null when there is none for it. */
  claimTask(workerId: string): Promise<Claimed | null>;
  /** Conditional on the lease where one is given, else on the task's open lease. */
  markTaskComplete(taskId: string, result: object | null, leaseToken?: string): Promise<TaskOutcome>;
  /** One failed attempt: back to the queue, or failed for good with the third. */
  markTaskFailed(taskId: string, message: string, leaseToken?: string): Promise<TaskOutcome>;
  /** By age, the oldest first, past the server's limit of rows per answer. */
  getWorkers(filter?: WorkerFilter): Promise<WorkerRecord[]>;
  /** Books an external worker, which becomes active by its first heartbeat. Pods are booked by the pool alone. */
  createWorkerRecord(id: string, instanceType: string, pool?: string): Promise<WorkerRecord>;
  /** A wish: only the lifecycle changes a status, so a different one is refused, kept as evidence and journaled. */
  updateWorkerStatus(id: string, status: WorkerStatus): Promise<StatusAnswer>;
  /** Evidence that a worker failed, kept in its row and journaled; the verdict is the lifecycle's. */
  markWorkerError(id: string, reason: string): Promise<StatusAnswer>;
  /** Puts the tasks of workers that are not living back into the queue. Answers how many leases ended. */
  resetOrphanedTasks(workerIds: readonly string[]): Promise<number>;
  /** The rows of a view about the fleet, the queue or the costs. */
  analyse<V extends Analysis>(view: V): Promise<Views[V]["Row"][]>;
}

export interface TaskOutcome {
  readonly outcome: "completed" | "already_completed" | "requeued" | "failed" | "lease_lost" | "not_running";
  /** The task's status from now on. */
  readonly status: string | null;
}

export interface StatusAnswer {
  readonly outcome: "unchanged" | "refused";
  readonly status: string;
  readonly reason: string;
}

const counts = z.object({ totals: z.object({ queued_only: z.number(), active_only: z.number() }) });
const taskOutcome = z.object({
  outcome: z.enum(["completed", "already_completed", "requeued", "failed", "lease_lost", "not_running"]),
  status: z.string().nullable(),
});
const claimed = z.array(
  z
    .object({
      id: z.string(),
      task_type: z.string(),
      params: z.unknown(),
      project_id: z.string(),
      attempt: z.number(),
      lease_token: z.string(),
    })
    .transform((row): Claimed => ({
      taskId: row.id,
      taskType: row.task_type,
      params: row.params,
      projectId: row.project_id,
      attempt: row.attempt,
      leaseToken: row.lease_token,
    })),
);
const ORDER_OF: Readonly<Record<Analysis, readonly string[]>> = {
  orchestrator_status: ["pool"],
  worker_performance: ["worker_id"],
  task_queue_analysis: ["pool", "task_type"],
  worker_costs: ["worker_id"],
};

export function databaseOperations(database: Database): Operations {
  const { client } = database;

  const report = async (operation: string, id: string, columns: Tables["workers"]["Update"]): Promise<StatusAnswer> => {
    const request = client.from("workers").update(columns).eq("id", id).select("status");
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
  };

  return {
    async getTasks({ status, pool, projectId, workerId, limit } = {}) {
      return await readAll(
        "getTasks",
        (from, to) => {
          let request = client.from("tasks").select("*");
          request = status === undefined ? request : request.in("status", status);
          request = pool === undefined ? request : request.eq("pool", pool);
          request = projectId === undefined ? request : request.eq("project_id", projectId);
          request = workerId === undefined ? request : request.eq("worker_id", workerId);
          return request.order("created_at", { ascending: false }).order("id").range(from, to);
        },
        limit,
      );
    },
    async countAvailableTasks(runType) {
      const request = () => client.rpc("task_counts", { p_run_type: runType ?? null });
      const { totals } = shaped("countAvailableTasks", counts, await readOne("countAvailableTasks", request));
      return { queued: totals.queued_only, active: totals.active_only };
    },
    async claimTask(workerId) {
      const [task] = await database.call("func_claim_available_task", { worker_id_param: workerId }, claimed);
      return task ?? null;
    },
    async markTaskComplete(taskId, result, leaseToken) {
      const args = { p_task_id: taskId, p_result: result, p_lease_token: leaseToken ?? null };
      return await database.call("func_mark_task_complete", args, taskOutcome);
    },
    async markTaskFailed(taskId, message, leaseToken) {
      const args = { p_task_id: taskId, p_error_message: message, p_lease_token: leaseToken ?? null };
      return await database.call("func_mark_task_failed", args, taskOutcome);
    },
    async getWorkers({ status, pool } = {}) {
      return await readAll("getWorkers", (from, to) => {
        let request = client.from("workers").select("*");
        request = status === undefined ? request : request.in("status", status);
        request = pool === undefined ? request : request.eq("pool", pool);
        return request.order("created_at").order("id").range(from, to);
      });
    },
    async createWorkerRecord(id, instanceType, pool = "main") {
      const request = client.from("workers").insert({ id, instance_type: instanceType, pool }).select();
      const [row] = await answerOf("createWorkerRecord", request);
      if (row === undefined) {
        throw new DatabaseError("createWorkerRecord", 200, "", `the new row of worker ${id} was not answered`, null);
      }
      return row;
    },
    updateWorkerStatus: (id, status) => report("updateWorkerStatus", id, { status }),
    markWorkerError: (id, reason) =>
      report("markWorkerError", id, { status: "error", metadata: { error_reason: reason } }),
    resetOrphanedTasks: (workerIds) =>
      database.call("func_reset_orphaned_tasks", { failed_worker_ids: workerIds }, z.number()),
    async analyse<V extends Analysis>(view: V) {
      return await readAll("analyse", (from, to) => {
        const request = client.from<Analysis, Views[Analysis]>(view).select("*");
        const ordered = ORDER_OF[view].reduce((rows, column) => rows.order(column), request);
        return ordered.range(from, to);
      });
    },
  };
}

function shaped<T>(operation: string, shape: z.ZodType<T>, value: unknown): T {
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    throw new DatabaseError(operation, 200, "", `unexpected answer: ${parsed.error.message}`, null);
  }
  return parsed.data;
}
