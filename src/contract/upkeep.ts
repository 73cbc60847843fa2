/**
 * Workflows beside the pools, one of each per task queue. Their ids begin with the queue's name. No pool can have such
 * an id.
 */

export const JANITOR_WORKFLOW = "janitor";
export const NOTIFICATIONS_WORKFLOW = "notifications";

/** Id of the Schedule that starts the janitor: `gpu-pool-janitor` on the default task queue. */
export function janitorScheduleId(taskQueue: string): string {
  return `${taskQueue}-janitor`;
}

export function notificationsWorkflowId(taskQueue: string): string {
  return `${taskQueue}-notifications`;
}

export interface DeliveryCounts {
  readonly delivered: number;
  /** Failed attempts that will be made again. */
  readonly failed: number;
  /** Notifications that were given up. */
  readonly dead: number;
}

export interface JanitorInput {
  /** The deployment's task queue. It is an input because a replay does not know on which one the workflow ran. */
  readonly taskQueue: string;
  /** Only compare and report; change nothing. */
  readonly dryRun?: boolean;
}

export interface JanitorResult {
  /** By repair: what it did, or why it could not. */
  readonly repairs: Readonly<Record<string, string>>;
  /** Null: the comparison failed; `repairs` says why. */
  readonly workers: WorkersReport | null;
  readonly pools: readonly PoolFinding[] | null;
}

/**
 * kept: nothing to do · adopt: the row learns its pod · start: its workflow is started · wait: ended if seen again ·
 * bury: the row is opened again and the pod deleted, until it is seen gone · end: its workflow is ended · drain: the
 * worker is drained, with both its pods · capped: to be ended, but too many were at once · not_ours: never touched
 */
export type WorkerVerdict =
  | "kept"
  | "adopt"
  | "start"
  | "wait"
  | "bury"
  | "end"
  | "drain"
  | "capped"
  | "not_ours"
  | "unknown";

export interface WorkerFinding {
  /** The pod's id; null: no list shows a pod. */
  readonly pod: string | null;
  /** Its name, and the id of its row and workflow. */
  readonly worker: string | null;
  readonly pool: string | null;
  /** The row's status in words; null: there is no row. */
  readonly row: string | null;
  /** The workflow's state in words; null: none is known. */
  readonly workflow: string | null;
  readonly verdict: WorkerVerdict;
  readonly reason: string;
  /** Under this name the sighting is kept. */
  readonly subject?: string;
}

export type PoolVerdict = "kept" | "wait" | "bring_back" | "bring_back_paused" | "restart" | "not_ours" | "unknown";

export interface PoolFinding {
  readonly pool: string;
  readonly row: string;
  readonly workflow: string | null;
  readonly verdict: PoolVerdict;
  readonly reason: string;
  readonly subject?: string;
}

export interface WorkersReport {
  /** Those that are not kept first, at most 500. */
  readonly findings: readonly WorkerFinding[];
  /** Findings above that number. */
  readonly leftOut: number;
  /** Why a source could not be read; nothing was concluded from it. */
  readonly unknown: readonly string[];
  /** What was done, or could not be done, one sentence each. */
  readonly done: readonly string[];
  readonly failed: readonly string[];
}

export interface NotificationsInput {
  readonly carried?: DeliveryCounts;
  /** For tests: continue as new after this many events. */
  readonly maxHistoryLength?: number;
}

export interface NotificationActivities {
  /** Delivers what is due, and what becomes due within five minutes. */
  deliverNotifications(): Promise<DeliveryCounts>;
}

/** One activity for each repair. Each may run at any time and twice, and answers what it did. */
export interface JanitorActivities {
  /** Compares the provider, the database and Temporal, and repairs what two of them do not agree on. */
  reconcileWorkers(options: { readonly dryRun: boolean }): Promise<WorkersReport>;
  /** Starts pools again that should run and do not. */
  bringBackPools(options: {
    readonly dryRun: boolean;
  }): Promise<{ findings: readonly PoolFinding[]; failed: readonly string[] }>;
  /** Answers how many tasks each repair changed, or would change. */
  repairTasks(options: { readonly dryRun: boolean }): Promise<Readonly<Record<string, number>>>;
  cleanUpLogs(): Promise<{ deleted: number }>;
  cleanUpOutbox(): Promise<{ deleted: number }>;
  /** Deletes old rows of the tables that only grow, by table. */
  cleanUpTables(): Promise<Readonly<Record<string, number>>>;
  /** Deletes old files whose task was deleted. */
  cleanUpFiles(): Promise<{ deleted: number }>;
}
