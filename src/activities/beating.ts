import { Context } from "@temporalio/activity";

/** Longer than the interval to which heartbeats are throttled, and much shorter than their timeout in the workflow. */
const HEARTBEAT_MS = 2_000;

/** Sends heartbeats during the work, so that this process's death is noticed in seconds and not at the work's deadline. */
export async function beating<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}
