import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";

/** The subject of an activity, as its span names it. */
export interface TraceNotes {
  readonly pool?: string | undefined;
  readonly worker?: string | undefined;
  /** Id of the decision that booked the worker, or that the activity carries out. */
  readonly decision?: string | null | undefined;
  readonly task?: string | null | undefined;
  /** The kind of a notification. */
  readonly kind?: string | undefined;
}

/** Adds attributes to the span of the running activity. Without a tracer nothing happens. */
export function noteOnTrace(notes: TraceNotes): void {
  trace.getActiveSpan()?.setAttributes(named(notes));
}

/** As `noteOnTrace`, for one of the many events of a long activity. */
export function addToTrace(event: string, notes: TraceNotes): void {
  trace.getActiveSpan()?.addEvent(event, named(notes));
}

/** Runs `start` outside of the activity's trace, so that whatever it begins gets a trace of its own. */
export async function outsideTrace<T>(start: () => Promise<T>): Promise<T> {
  return await context.with(ROOT_CONTEXT, start);
}

function named(notes: TraceNotes): Record<string, string> {
  const known = Object.entries(notes).filter((note): note is [string, string] => typeof note[1] === "string");
  return Object.fromEntries(known.map(([name, value]) => [`gpu_pool.${name}`, value]));
}
