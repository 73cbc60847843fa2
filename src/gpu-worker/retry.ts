import { orAbort, sleep } from "./abort.ts";
import { isTransient } from "./queue/queue-error.ts";

export interface RetryOptions {
  readonly signal: AbortSignal;
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
  /** Whether to try again after attempt number `attempt` (from 1) failed. Default: transient errors, without end. */
  readonly retryable?: (error: unknown, attempt: number) => boolean;
}

/**
 * Runs `call` until it succeeds, fails with an error that is not retryable, or the signal aborts. Only for calls that
 * may safely happen twice.
 * @throws the error of the last attempt, or the signal's reason.
 */
export async function withRetry<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, retryable = isTransient } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await orAbort(call(), signal);
    } catch (error) {
      if (signal.aborted || !retryable(error, attempt)) {
        throw error;
      }
    }
    await sleep(backOffMs(attempt, options.firstDelayMs, options.maxDelayMs), signal);
  }
}

/** Doubling delay with jitter, in milliseconds, for the wait after failure number `failures` (from 1). */
export function backOffMs(failures: number, firstDelayMs = 500, maxDelayMs = 15_000): number {
  const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(failures - 1, 20));
  return Math.round(delayMs * (0.75 + Math.random() * 0.25));
}
