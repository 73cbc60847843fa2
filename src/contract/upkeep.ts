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
  cleanUpLogs(): Promise<{ deleted: number }>;
  cleanUpOutbox(): Promise<{ deleted: number }>;
}
