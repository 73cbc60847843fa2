import { Context } from "@temporalio/activity";
import { ApplicationFailure, WorkflowNotFoundError } from "@temporalio/common";
import type { MessageOrigin } from "../contract/activities.ts";
import { FAILURES } from "../contract/failures.ts";
import type { GpuPoolInput } from "../contract/inputs.ts";
import type { PoolStore, WrittenSignals } from "../supabase/pool-store.ts";

/** Value of the server's enum WorkflowTaskFailedCause. */
const RESET_WORKFLOW = 20;
/** Value of the server's enum EventType. */
const WORKFLOW_TASK_SCHEDULED = 5;

type History = Awaited<ReturnType<ReturnType<typeof handleOf>["fetchHistory"]>>;
type Event = NonNullable<History["events"]>[number];

/** Messages from before the last reset of a run, and those that the reset gave again. */
interface Reset {
  readonly baseRun: string;
  readonly reason: string;
  readonly signals: number;
  readonly updates: ReadonlySet<string>;
  readonly isCancelled: boolean;
}

/**
 * Which signals of this run have taken effect in a run before it. A reset copies the events up to its point and gives
 * the later signals again, so the same signals are counted again from there; or it leaves them out.
 * @param before how many have taken effect, as the run that wrote last counts them.
 * @returns null: this run is not the workflow's any more, and must not write.
 */
export async function signalsOfThisRun(
  before: WrittenSignals,
): Promise<{ now: WrittenSignals; reset: string | null } | null> {
  const run = thisRun();
  const { runId: current } = await handleOf().describe();
  if (current !== run) {
    return null;
  }
  for (let each: string | null = run; each !== null;) {
    if (each === before.run) {
      return { now: { run, written: before.written }, reset: null };
    }
    const events = await eventsOf(each);
    const reset = events === null ? null : lastReset(events);
    if (reset !== null) {
      const isSameCount = await leadsTo(reset.baseRun, before.run);
      const written = isSameCount ? Math.min(before.written, reset.signals) : reset.signals;
      return { now: { run, written }, reset: describeReset(reset, written, isSameCount) };
    }
    each = events === null ? null : continuedFrom(events[0]);
  }
  return { now: { run, written: 0 }, reset: null };
}

/** @throws ApplicationFailure of type FAILURES.repeated when the message is from before a reset of this run. */
export async function refuseRepeated(
  pools: Pick<PoolStore, "journal">,
  pool: string,
  what: string,
  origin: MessageOrigin | undefined,
): Promise<void> {
  const reset = origin === undefined ? null : lastReset((await eventsOf(thisRun())) ?? []);
  if (reset === null || origin === undefined) {
    return;
  }
  if (origin.update === null ? reset.isCancelled : reset.updates.has(origin.update)) {
    const reason = `${what}: given before the pool's workflow was reset, so it is not carried out again`;
    await pools.journal(pool, "message.repeated", reason);
    throw ApplicationFailure.nonRetryable(`${reason}; send it again if it is still wanted`, FAILURES.repeated);
  }
}

/** The run that this activity works for. */
export function thisRun(): string {
  return execution().runId;
}

function handleOf(runId?: string) {
  return Context.current().client.workflow.getHandle(execution().workflowId, runId);
}

function execution() {
  const { workflowExecution } = Context.current().info;
  if (workflowExecution === undefined) {
    throw ApplicationFailure.nonRetryable("a pool's activity runs in a workflow only");
  }
  return workflowExecution;
}

/** Null: the server keeps this run no longer. */
async function eventsOf(runId: string): Promise<readonly Event[] | null> {
  try {
    const { events } = await handleOf(runId).fetchHistory();
    return events ?? [];
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      return null;
    }
    throw error;
  }
}

/** Events that a reset gives again stand between its mark and the next workflow task. */
function lastReset(events: readonly Event[]): Reset | null {
  const mark = events.findLastIndex((event) => event.workflowTaskFailedEventAttributes?.cause === RESET_WORKFLOW);
  const failed = events[mark]?.workflowTaskFailedEventAttributes;
  if (!failed) {
    return null;
  }
  const rest = events.slice(mark).findIndex(({ eventType }) => eventType === WORKFLOW_TASK_SCHEDULED);
  const old = rest < 0 ? events : events.slice(0, mark + rest);
  const signals = old.filter((event) => event.workflowExecutionSignaledEventAttributes).length;
  return {
    baseRun: failed.baseRunId ?? "",
    reason: failed.failure?.message ?? "",
    signals: signalsBefore(events[0]) + signals,
    updates: new Set(old.flatMap(updateOf)),
    isCancelled: old.some((event) => event.workflowExecutionCancelRequestedEventAttributes),
  };
}

function updateOf(event: Event): string[] {
  const request =
    event.workflowExecutionUpdateAdmittedEventAttributes?.request ??
    event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest;
  return request?.meta?.updateId ? [request.meta.updateId] : [];
}

/** Signals of the runs before, as the first event's input says. */
function signalsBefore(started: Event | undefined): number {
  const [payload] = started?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const input = JSON.parse(new TextDecoder().decode(payload?.data ?? undefined) || "{}") as Partial<GpuPoolInput>;
  return input.carried?.signals ?? 0;
}

function continuedFrom(started: Event | undefined): string | null {
  return started?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || null;
}

/** Whether a run continued as new, again and again, until it became another run, without a reset in between. */
async function leadsTo(earlier: string, later: string): Promise<boolean> {
  for (let each: string | null = later; each !== null && each !== "";) {
    if (each === earlier) {
      return true;
    }
    const events = await eventsOf(each);
    if (events === null || lastReset(events) !== null) {
      return false;
    }
    each = continuedFrom(events[0]);
  }
  return false;
}

function describeReset({ baseRun, reason, signals }: Reset, written: number, isSameCount: boolean): string {
  const old = isSameCount
    ? `of ${signals} earlier signals, ${written} had taken effect and are not carried out again`
    : `${signals} earlier signals are not carried out again, because a later run than this one's origin wrote last`;
  return `the pool's workflow was reset from run ${baseRun} (${reason}): ${old}`;
}
