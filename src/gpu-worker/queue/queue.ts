import type { Vram } from "../vram.ts";

export interface Lease {
  readonly taskId: string;
  readonly leaseToken: string;
}

export interface ClaimedTask extends Lease {
  readonly taskType: string;
  readonly params: unknown;
  readonly attempt: number;
  /** Null: the task has no project. */
  readonly projectId: string | null;
}

export interface Claim {
  readonly workerStatus: string;
  readonly task: ClaimedTask | null;
}

/** `storagePath` and `outputLocation` name the main file. */
export interface Completion {
  readonly storagePath: string;
  readonly outputLocation: string;
  readonly result: object;
}

export type FinishOutcome = "completed" | "already_completed" | "lease_lost";

/** The row of a sub-task. Its id derives from the parent's, so that a second run writes the same rows. */
export interface SubTask {
  readonly id: string;
  readonly taskType: string;
  readonly params: object;
  readonly dependantOn: string | null;
  /** It waits for all other sub-tasks of its parent, and fails with the first of them that fails. One at most. */
  readonly afterSiblings?: true;
}

/** What another task has made. */
export interface TaskOutput {
  readonly taskId: string;
  readonly status: string;
  readonly outputLocation: string | null;
  readonly resultData: unknown;
}

export interface SegmentOutput {
  readonly segmentIndex: number;
  readonly outputLocation: string;
}

/** A request to a paid service. It outlives the attempt, so that nobody pays for it twice. */
export interface ServiceRequest {
  /** As the service names it; null: it is about to be sent, and may have been. */
  readonly requestId: string | null;
  /** A part of the request by which it is found at the service if its answer was lost. */
  readonly mark: string | null;
}

export interface KeptRequest {
  /** Whether the lease is still held. */
  readonly held: boolean;
  /** Null: the task does not exist any more. */
  readonly taskStatus: string | null;
  /** Null: none was kept. */
  readonly request: (ServiceRequest & { readonly attempt: number; readonly askedAtMs: number }) | null;
}

/** The task queue as this worker sees it. Every call throws QueueError; none retries by itself. */
export interface Queue {
  /** Reports that the process is alive. Answers the status of the worker's row. */
  heartbeat(vram: Vram): Promise<string>;
  /** Takes the next task. An open lease of this worker comes first, so that a restarted process resumes its task. */
  claim(): Promise<Claim>;
  /** Waits until there may be a task for this worker, at most `ms` milliseconds. Left out: the queue cannot tell. */
  untilChanged?(ms: number, signal: AbortSignal): Promise<void>;
  /** `progress` from 0 to 1. Answers whether the lease is still held. */
  reportProgress(lease: Lease, progress: number, message: string): Promise<boolean>;
  finish(lease: Lease, completion: Completion): Promise<FinishOutcome>;
  /**
   * Both in one transaction. The same call again, after a lost answer, answers "already_completed" and the lease that the
   * first one opened. A lease that does not exist any more claims nothing: "lease_lost", the status "unknown" and no task.
   */
  finishAndClaim(lease: Lease, completion: Completion): Promise<Claim & { readonly outcome: FinishOutcome }>;
  /**
   * Writes the rows of the sub-tasks and lets the task wait for them, in one transaction; the output of `resultTaskId` becomes
   * that of the task. A row of the same parent that exists is left as it is. The same call again answers the same.
   */
  delegate(lease: Lease, subTasks: readonly SubTask[], resultTaskId: string): Promise<"delegated" | "lease_lost">;
  fail(lease: Lease, message: string, permanent: boolean): Promise<"requeued" | "failed" | "lease_lost">;
  release(lease: Lease, reason: string): Promise<"released" | "lease_lost">;
  /** Keeps the last request of a task to a service; null: forgets it. Answers whether the lease is still held. */
  keepRequest(lease: Lease, service: string, request: ServiceRequest | null): Promise<boolean>;
  /** The request that this or an earlier attempt has kept. Answers also when the lease has ended. */
  keptRequest(lease: Lease, service: string): Promise<KeptRequest>;
  /** What another task of the same graph has made; null: there is no such task. */
  outputOf(lease: Lease, taskId: string): Promise<TaskOutput | null>;
  predecessorOutput(lease: Lease): Promise<TaskOutput | null>;
  completedSegments(task: ClaimedTask, runId: string): Promise<readonly SegmentOutput[]>;
}
