/** The workflows beside the pools: one each for a task queue, whose name begins their ids. No pool can have such an id. */

export const JANITOR_WORKFLOW = "janitor";
export const NOTIFICATIONS_WORKFLOW = "notifications";

/** Of the Schedule that starts the janitor: `gpu-pool-janitor` on the default task queue. */
export function janitorScheduleId(taskQueue: string): string {
  return `${taskQueue}-janitor`;
}

export function notificationsWorkflowId(taskQueue: string): string {
  return `${taskQueue}-notifications`;
}

export interface DeliveryCounts {
  readonly delivered: number;
  /** Attempts that failed and will be made again. */
  readonly failed: number;
  readonly dead: number;
}

export interface JanitorInput {
  /** Of this deployment. In the input, because a replay does not know on which one the workflow ran. */
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

/** One activity a repair; each may run at any time and twice. They answer what they did. */
export interface JanitorActivities {
  cleanUpLogs(): Promise<{ deleted: number }>;
  cleanUpOutbox(): Promise<{ deleted: number }>;
}
