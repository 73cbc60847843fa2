import { type WorkflowClient, type WorkflowHandle, WorkflowNotFoundError } from "@temporalio/client";

type History = Awaited<ReturnType<WorkflowHandle["fetchHistory"]>>;
type HistoryEvent = NonNullable<History["events"]>[number];

/** The cost of one event of a workflow's history. */
export interface Cost {
  readonly timeMs: number;
  /** Billable actions by the rules of Temporal Cloud. */
  readonly actions: number;
  /** The event is the arrival of a drain signal. */
  readonly drain: boolean;
}

/** The SDK sends a long activity's first heartbeat at once, and then one every 0.8 × the heartbeat timeout. */
const THROTTLE = 0.8;

/**
 * The cost of a workflow so far, over all its runs, event by event, oldest first. These count: starts and continuations
 * (1), child starts (2, at the parent), activities with every retry (1 each), their heartbeats as the Temporal worker
 * throttles them, timers (1), signals (1, at the receiver), updates (1) and upserts of search attributes (1).
 * @param lastRunId the run to end with; default: the newest one.
 */
export async function costsOf(client: WorkflowClient, workflowId: string, lastRunId?: string): Promise<Cost[]> {
  const runs: Cost[][] = [];
  let runId = lastRunId;
  do {
    const { events } = await client.getHandle(workflowId, runId).fetchHistory();
    runs.unshift(costsOfRun(events ?? []));
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
  } while (runId !== undefined);
  return runs.flat();
}

/** As costsOf, for many workflows. @throws Error that names a workflow that the server does not know. */
export async function costsOfAll(client: WorkflowClient, workflowIds: readonly string[]): Promise<Cost[][]> {
  const all: Cost[][] = [];
  for (let start = 0; start < workflowIds.length; start += 20) {
    const chunk = workflowIds.slice(start, start + 20).map(async (id) => {
      try {
        return await costsOf(client, id);
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) {
          throw new Error(`no workflow ${id} to count`, { cause: error });
        }
        throw error;
      }
    });
    all.push(...(await Promise.all(chunk)));
  }
  return all;
}

export function sumOfActions(costs: readonly Cost[]): number {
  return costs.reduce((sum, { actions }) => sum + actions, 0);
}

function costsOfRun(events: readonly HistoryEvent[]): Cost[] {
  const scheduled = new Map<string, HistoryEvent>();
  const started = new Map<string, number>();
  return events.map((event) => {
    const timeMs = timeOf(event);
    const activity = activityOf(event);
    if (event.activityTaskScheduledEventAttributes) {
      scheduled.set(String(event.eventId), event);
    }
    if (event.activityTaskStartedEventAttributes && activity !== null) {
      started.set(activity, timeMs);
    }
    const beats =
      hasEnded(event) && activity !== null
        ? beatsOf(scheduled.get(activity), timeMs - (started.get(activity) ?? timeMs))
        : 0;
    const drain = event.workflowExecutionSignaledEventAttributes?.signalName === "drain";
    return { timeMs, actions: actionsOf(event) + beats, drain };
  });
}

function actionsOf(event: HistoryEvent): number {
  const start = event.workflowExecutionStartedEventAttributes;
  if (start) {
    return start.parentWorkflowExecution && !start.continuedExecutionRunId ? 0 : 1;
  }
  if (event.startChildWorkflowExecutionInitiatedEventAttributes) {
    return 2;
  }
  const begun = event.activityTaskStartedEventAttributes;
  if (begun) {
    return begun.attempt ?? 1;
  }
  const billed =
    event.timerStartedEventAttributes ??
    event.workflowExecutionSignaledEventAttributes ??
    event.workflowExecutionUpdateAcceptedEventAttributes ??
    event.upsertWorkflowSearchAttributesEventAttributes;
  return billed ? 1 : 0;
}

function activityOf(event: HistoryEvent): string | null {
  const reference =
    event.activityTaskStartedEventAttributes ??
    event.activityTaskCompletedEventAttributes ??
    event.activityTaskFailedEventAttributes ??
    event.activityTaskTimedOutEventAttributes;
  return reference?.scheduledEventId == null ? null : String(reference.scheduledEventId);
}

function hasEnded(event: HistoryEvent): boolean {
  return activityOf(event) !== null && !event.activityTaskStartedEventAttributes;
}

/** The watch sends a heartbeat at once. Other activities send the first one after two seconds, so a shorter life has none. */
function beatsOf(event: HistoryEvent | undefined, lifeMs: number): number {
  const attributes = event?.activityTaskScheduledEventAttributes;
  const timeoutSec = Number(attributes?.heartbeatTimeout?.seconds ?? 0);
  if (timeoutSec === 0) {
    return 0;
  }
  const isWatch = attributes?.activityType?.name === "watchPool";
  return Math.floor(lifeMs / (timeoutSec * THROTTLE * 1000)) + (isWatch || lifeMs > 2_000 ? 1 : 0);
}

function timeOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1000 + (eventTime?.nanos ?? 0) / 1e6;
}
