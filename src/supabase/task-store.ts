import { z } from "zod";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";
import { answerOf, quoted, readAll, readCount, readOne, sendable, shaped } from "./requests.ts";
import { type NewRow, type Row, TABLES } from "./tables.ts";

/** Keeps a request's URL below 8 KB. */
const IDS_PER_REQUEST = 150;

export type TaskRow = Row<"tasks">;
export type NewTask = NewRow<"tasks"> & { readonly id: string };
export type TaskStatus = "Queued" | "In Progress" | "Complete" | "Failed" | "Cancelled";

export interface TaskFilter {
  readonly status?: readonly TaskStatus[];
  readonly pool?: string;
  readonly projectId?: string;
  readonly workerId?: string;
  /** The newest rows up to this many; left out: all of them. */
  readonly limit?: number;
}

export interface ListedTaskFilter extends Omit<TaskFilter, "workerId"> {
  readonly type?: string;
  /** ISO 8601: created since. */
  readonly since?: string;
}

const LISTED =
  "id, task_type, status, gate, pool, project_id, worker_id, priority, attempts, created_at, updated_at, generation_started_at, generation_processed_at, dependant_on, output_location, error_message";

/** A task without its parameters and its result, which may be large. */
export type ListedTask = Pick<
  TaskRow,
  | "id"
  | "task_type"
  | "status"
  | "gate"
  | "pool"
  | "project_id"
  | "worker_id"
  | "priority"
  | "attempts"
  | "created_at"
  | "updated_at"
  | "generation_started_at"
  | "generation_processed_at"
  | "dependant_on"
  | "output_location"
  | "error_message"
>;

/** One claim of a task, without its token. */
export interface Attempt extends Pick<
  Row<"ended_attempts">,
  "attempt" | "worker_id" | "started_at" | "claimable_at" | "error" | "progress" | "progress_message" | "progress_at"
> {
  /** Null: it is open. */
  readonly ended_at: string | null;
  readonly cause: string | null;
}

export type SubTask = Pick<TaskRow, "id" | "task_type" | "status" | "created_at" | "generation_processed_at">;

const retried = z.object({
  outcome: z.enum(["reopened", "unknown", "not_failed", "caused", "parent_ended"]),
  status: z.string().nullable(),
  /** The task that stands in the way. */
  because: z.string().nullable(),
  /** How many tasks came back. */
  reopened: z.number(),
});
export type Retried = z.infer<typeof retried>;

export interface TaskCount {
  readonly pool: string;
  readonly status: TaskStatus;
  readonly gate?: "open" | "held" | "blocked" | "delayed";
  /** ISO 8601. */
  readonly changedSince?: string;
}

export interface TaskState {
  readonly id: string;
  readonly status: string;
  /** URL of the result. */
  readonly url: string | null;
  readonly error: string | null;
  readonly pool: string;
}

const claimed = camelized(
  z.object({
    id: z.string(),
    task_type: z.string(),
    params: z.unknown(),
    project_id: z.string(),
    attempt: z.number(),
    lease_token: z.string(),
  }),
).transform(({ id: taskId, ...task }) => ({ taskId, ...task }));
export type Claimed = z.infer<typeof claimed>;

const taskOutcome = z.object({
  outcome: z.enum(["completed", "already_completed", "requeued", "failed", "lease_lost", "not_running"]),
  /** The task's status from now on. */
  status: z.string().nullable(),
});
export type TaskOutcome = z.infer<typeof taskOutcome>;

const counts = z.object({ totals: z.object({ queued_only: z.number(), active_only: z.number() }) });

interface TasksForPeople {
  /** Tasks whose id begins so, at most `limit`. @param prefix hexadecimal digits, with or without dashes */
  tasksWithPrefix(prefix: string, limit: number): Promise<ListedTask[]>;
  /** Null: there is no such task. */
  find(id: string): Promise<TaskRow | null>;
  /** The oldest first. */
  attempts(id: string): Promise<Attempt[]>;
  /** The first sub-tasks of an orchestrator task, by age. */
  subTasks(id: string, limit: number): Promise<SubTask[]>;
  /** What the task has cost so far in USD, with its part of its workers' idle time; null: not known. */
  cost(id: string): Promise<number | null>;
}

interface TaskReads {
  /** Newest first, past the server's limit of rows per answer. */
  getTasks(filter?: TaskFilter): Promise<TaskRow[]>;
  /** Claimable tasks and running tasks, each counted up to 10,000, by the predicate that claims use. */
  countAvailableTasks(runType?: "gpu" | "api"): Promise<{ queued: number; active: number }>;
  /** All of a pool's tasks in one status. */
  count(tasks: TaskCount): Promise<number>;
  /** How far these tasks are; one whose row was deleted is left out. */
  states(ids: readonly string[]): Promise<TaskState[]>;
}

interface TaskWrites {
  /** Ends its lease too. @throws DatabaseError PT409 when it has ended in another way, PT404 when there is none */
  cancel(id: string): Promise<void>;
  /** A failed task comes back with all that its failing failed; journaled and notified. */
  retry(id: string, reason: string): Promise<Retried>;
  /** At most 1,000 tasks, all of them or none. A field that one lacks takes its column's default. */
  submit(tasks: readonly NewTask[]): Promise<void>;
  /** The worker's own open task first, else the head of its pool's line; null when there is none for it. */
  claimTask(workerId: string): Promise<Claimed | null>;
  /** Conditional on the lease where one is given, else on the task's open lease. */
  markTaskComplete(taskId: string, result: object | null, leaseToken?: string): Promise<TaskOutcome>;
  /** One failed attempt: back to the queue, or failed for good with the third. */
  markTaskFailed(taskId: string, message: string, leaseToken?: string): Promise<TaskOutcome>;
}

export type TaskStore = TaskReads & TasksForPeople & TaskWrites;

/**
 * The queue. Every call throws DatabaseError; an empty answer is an empty table, never a failure. Reads are tried three
 * times when no answer comes or the service is overloaded; writes are sent once, because an unanswered one may have happened.
 */
export function taskStore(database: Database): TaskStore {
  return { ...reads(database), ...forPeople(database), ...writes(database) };
}

function reads({ [TABLES]: client }: Database): TaskReads {
  return {
    async getTasks({ status, pool, projectId, workerId, limit } = {}) {
      const request = (count: number, last: TaskRow | undefined) => {
        let rows = client.from("tasks").select("*");
        rows = status === undefined ? rows : rows.in("status", status);
        rows = pool === undefined ? rows : rows.eq("pool", pool);
        rows = projectId === undefined ? rows : rows.eq("project_id", projectId);
        rows = workerId === undefined ? rows : rows.eq("worker_id", workerId);
        if (last !== undefined) {
          const { created_at: at, id } = last;
          rows = rows.lte("created_at", at).or(`created_at.lt.${quoted(at)},id.gt.${id}`);
        }
        return rows.order("created_at", { ascending: false }).order("id").limit(count);
      };
      return await readAll<TaskRow>("getTasks", request, limit);
    },
    async countAvailableTasks(runType) {
      const request = () => client.rpc("task_counts", { p_run_type: runType ?? null });
      const { totals } = shaped("countAvailableTasks", counts, await readOne("countAvailableTasks", request));
      return { queued: totals.queued_only, active: totals.active_only };
    },
    async count({ pool, status, gate, changedSince }) {
      return await readCount("count tasks", () => {
        let tasks = client.from("tasks").select("id", { head: true, count: "exact" });
        tasks = tasks.eq("pool", pool).eq("status", status);
        tasks = gate === undefined ? tasks : tasks.eq("gate", gate);
        return changedSince === undefined ? tasks : tasks.gte("updated_at", changedSince);
      });
    },
    async states(ids) {
      const columns = "id, status, pool, error_message, output_location, video_url:result_data->>video_url";
      const found: TaskState[] = [];
      for (let start = 0; start < ids.length; start += IDS_PER_REQUEST) {
        const some = ids.slice(start, start + IDS_PER_REQUEST);
        const rows = await readAll<{ id: string }>("read tasks", (count, last) => {
          const asked = client.from("tasks").select(columns).in("id", some);
          const after = last === undefined ? asked : asked.gt("id", last.id);
          return after.order("id").limit(count);
        });
        found.push(...shaped("read tasks", states, rows));
      }
      return found;
    },
  };
}

function forPeople({ [TABLES]: client }: Database): TasksForPeople {
  return {
    async tasksWithPrefix(prefix, limit) {
      const [from, to] = [idFilledWith(prefix, "0"), idFilledWith(prefix, "f")];
      const request = () => client.from("tasks").select(LISTED).gte("id", from).lte("id", to).order("id").limit(limit);
      return await readOne<ListedTask[]>("find task", request);
    },
    async find(id) {
      return await readOne<TaskRow | null>("read task", () =>
        client.from("tasks").select("*").eq("id", id).maybeSingle(),
      );
    },
    async attempts(id) {
      const columns =
        "attempt, worker_id, started_at, claimable_at, ended_at, cause, error, progress, progress_message, progress_at";
      return await readAll<Attempt>("read attempts", (count, last) =>
        client
          .from("task_attempts")
          .select(columns)
          .eq("task_id", id)
          .gt("attempt", last?.attempt ?? -1)
          .order("attempt")
          .limit(count)
          .overrideTypes<Attempt[], { merge: false }>(),
      );
    },
    async subTasks(id, limit) {
      return await readOne<SubTask[]>("read sub-tasks", () =>
        client
          .from("tasks")
          .select("id, task_type, status, created_at, generation_processed_at")
          .eq("parent_id", id)
          .order("created_at")
          .order("id")
          .limit(limit),
      );
    },
    async cost(id) {
      const request = () => client.from("task_costs").select("cost_usd").eq("task_id", id).maybeSingle();
      return (await readOne<{ cost_usd: number | null } | null>("read cost", request))?.cost_usd ?? null;
    },
  };
}

/** The first or last id that begins with these digits. */
function idFilledWith(prefix: string, digit: string): string {
  const hex = prefix.replaceAll("-", "").toLowerCase().padEnd(32, digit);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const states = z.array(
  z
    .object({
      id: z.string(),
      status: z.string(),
      pool: z.string(),
      error_message: z.string().nullable(),
      output_location: z.string().nullable(),
      video_url: z.string().nullable(),
    })
    .transform(({ id, status, pool, ...row }): TaskState => ({
      id,
      status,
      pool,
      url: row.video_url ?? row.output_location,
      error: row.error_message,
    })),
);

function writes(database: Database): TaskWrites {
  return {
    async submit(tasks) {
      const rows = sendable("submit", [...tasks]);
      await answerOf("submit", database[TABLES].from("tasks").insert(rows, { defaultToNull: false }));
    },
    async cancel(id) {
      await database.call("api_cancel_task", { p_id: id }, z.unknown());
    },
    retry: (id, reason) => database.call("retry_task", { p_id: id, p_reason: reason }, retried),
    async claimTask(workerId) {
      const args = { worker_id_param: workerId };
      const [task] = await database.call("func_claim_available_task", args, z.array(claimed));
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
  };
}
