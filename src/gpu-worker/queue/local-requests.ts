import type { LocalDatabase } from "../../task-file/local-database.ts";
import { findTask } from "../../task-file/rows.ts";
import type { Lease } from "./queue.ts";

interface ServiceRequest {
  readonly requestId: string | null;
  readonly mark: string | null;
}

interface KeptRow extends ServiceRequest {
  readonly attempt: number;
  readonly askedAtMs: number;
}

type Write = <T>(operation: string, work: (nowMs: number) => T) => Promise<T>;

/** The last request of each task to each paid service, which outlives the attempt that sent it. */
export function createLocalRequests(database: LocalDatabase, write: Write) {
  const heldTask = ({ taskId, leaseToken }: Lease) => {
    const task = findTask(database, taskId);
    return task?.lease_token === leaseToken && task.status === "In Progress" ? task : null;
  };
  return {
    /** Null: forgets it. Answers whether the lease is still held. */
    keepRequest: (lease: Lease, service: string, request: ServiceRequest | null) =>
      write("keep a request", (nowMs) => {
        const task = heldTask(lease);
        if (task === null) {
          return false;
        }
        if (request === null) {
          database.run("delete from service_requests where task_id = ? and service = ?", task.id, service);
          return true;
        }
        database.run(
          `insert into service_requests (task_id, service, attempt, request_id, mark, asked_at_ms) values (?, ?, ?, ?, ?, ?)
           on conflict (task_id, service) do update set attempt = excluded.attempt, request_id = excluded.request_id,
             mark = excluded.mark, asked_at_ms = case when attempt = excluded.attempt and mark = excluded.mark
               then asked_at_ms else excluded.asked_at_ms end`,
          task.id,
          service,
          task.leases,
          request.requestId,
          request.mark,
          nowMs,
        );
        return true;
      }),
    /** Answers also when the lease has ended. */
    keptRequest: (lease: Lease, service: string) =>
      write("kept request", () => ({
        held: heldTask(lease) !== null,
        taskStatus: findTask(database, lease.taskId)?.status ?? null,
        request:
          database.get<KeptRow>(
            `select attempt, request_id as requestId, mark, asked_at_ms as askedAtMs from service_requests
             where task_id = ? and service = ?`,
            lease.taskId,
            service,
          ) ?? null,
      })),
  };
}
