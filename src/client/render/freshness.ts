import { z } from "zod";
import type { Look } from "../../contract/messages.ts";
import { formatDuration } from "./durations.ts";

/** A healthy watch looks every WATCH_INTERVAL_MS; its heartbeats, which tell of that, come within half a minute. */
const LATE_LOOK_MS = 60_000;
/** An older watch's heartbeats tell nothing: until it returns, after five minutes, what it told last may be that old. */
const LATE_RETURN_MS = 6 * 60_000;

/** How old what a controller shows of its pool is. */
export interface Freshness {
  /** ISO 8601: until then, at least, the pool was seen to be as it is shown. */
  readonly observedAt: string;
  readonly ageMs: number;
  /** The controller fails to observe its pool. */
  readonly isStale: boolean;
}

interface PendingActivity {
  readonly activityType?: { readonly name?: string | null } | null;
  readonly heartbeatDetails?: { readonly payloads?: readonly { readonly data?: Uint8Array | null }[] | null } | null;
}

const look = z.object({ observedAt: z.iso.datetime().nullable() });

/** What the running watch last told of its looks at the pool. Null: none runs, or it told nothing yet. */
export function lookOf(pending: readonly PendingActivity[]): Look | null {
  const watch = pending.find(({ activityType }) => activityType?.name === "watchPool");
  const [details] = watch?.heartbeatDetails?.payloads ?? [];
  try {
    return look.safeParse(JSON.parse(Buffer.from(details?.data ?? []).toString())).data ?? null;
  } catch {
    return null;
  }
}

/**
 * @param shownAt ISO 8601: when what is shown was observed
 * @param nowMs by the clock that shownAt is from, as far as that is known
 */
export function freshnessOf(shownAt: string, seen: Look | null, nowMs: number): Freshness {
  const seenAt = seen?.observedAt ?? shownAt;
  const observedAt = Date.parse(seenAt) > Date.parse(shownAt) ? seenAt : shownAt;
  const ageMs = Math.max(0, nowMs - Date.parse(observedAt));
  return { observedAt, ageMs, isStale: ageMs > (seen === null ? LATE_RETURN_MS : LATE_LOOK_MS) };
}

/** The warning that goes with what is stale. */
export function describeStale({ ageMs }: Freshness): string {
  return `not observed for ${formatDuration(ageMs)}: it may be otherwise now, and nothing is decided meanwhile; the Temporal worker's log says why`;
}
