import { z } from "zod";
import type { Look } from "../../contract/activities.ts";
import { formatDuration } from "./durations.ts";

/** A healthy watch looks every WATCH_INTERVAL_MS, and reports its looks by heartbeats that arrive within half a minute. */
const LATE_LOOK_MS = 60_000;
/** A watch of an older version reports no looks: it returns only every five minutes, so its last answer may be that old. */
const LATE_RETURN_MS = 6 * 60_000;

/** How old the state is that a controller shows of its pool. */
export interface Freshness {
  /** ISO 8601: the last time that the pool was known to be as it is shown. */
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

/** The last look that the running watch reported. Null: no watch runs, or it has reported none. */
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
 * @param shownAt ISO 8601: when the shown state was observed
 * @param nowMs now, by the clock that shownAt comes from if that is known
 */
export function freshnessOf(shownAt: string, seen: Look | null, nowMs: number): Freshness {
  const seenAt = seen?.observedAt ?? shownAt;
  const observedAt = Date.parse(seenAt) > Date.parse(shownAt) ? seenAt : shownAt;
  const ageMs = Math.max(0, nowMs - Date.parse(observedAt));
  return { observedAt, ageMs, isStale: ageMs > (seen === null ? LATE_RETURN_MS : LATE_LOOK_MS) };
}

/** The warning for a stale state. */
export function describeStale({ ageMs }: Freshness): string {
  const age = formatDuration(ageMs);
  return `not observed for ${age}: the pool may have changed, and nothing is decided now; the Temporal worker's log says why`;
}
