import { Context } from "@temporalio/activity";

/** Longer than the interval to which heartbeats are throttled, and much shorter than their timeout in the workflow. */
const HEARTBEAT_MS = 2_000;

/**
 * Sends heartbeats during the work, so that this process's death is noticed in seconds and not at the work's deadline.
 * @param details of each heartbeat; default: none.
 */
export async function beating<T>(work: () => Promise<T>, details: () => readonly unknown[] = () => []): Promise<T> {
  const context = Context.current();
  // The SDK itself sends no more than one in four fifths of the timeout.
  const everyMs = Math.min(HEARTBEAT_MS, (context.info.heartbeatTimeoutMs ?? Infinity) / 4);
  const beat = setInterval(() => context.heartbeat(...details()), everyMs);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}

/** The activities, each of which sends heartbeats from its third second on. */
export function withBeats<A extends object>(activities: A): A {
  const entries = Object.entries(activities).map(([name, act]) => [
    name,
    async (...args: unknown[]): Promise<unknown> =>
      await beating(() => (act as (...given: unknown[]) => Promise<unknown>)(...args)),
  ]);
  return Object.fromEntries(entries) as A;
}
