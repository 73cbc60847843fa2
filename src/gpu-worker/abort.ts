import { setTimeout as delay } from "node:timers/promises";

/** Waits `ms` milliseconds, or less when the signal aborts; never rejects. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/**
 * Settles as the promise does, or rejects with the signal's reason as soon as the signal aborts. Removes its listener
 * afterwards, so that a long-lived signal does not gather one per call (as with `AbortSignal.any` on Node 20).
 */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) {
      onAbort();
    } else {
      signal.addEventListener("abort", onAbort, { once: true });
    }
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    promise.catch(() => undefined);
  }
}

/**
 * A signal that aborts `graceMs` after the given one, with its reason, so that a write under way can still be answered.
 */
export function withGrace(signal: AbortSignal, graceMs: number): AbortSignal {
  const late = new AbortController();
  const start = () => setTimeout(() => late.abort(signal.reason), graceMs).unref();
  if (signal.aborted) {
    start();
  } else {
    signal.addEventListener("abort", start, { once: true });
  }
  return late.signal;
}
