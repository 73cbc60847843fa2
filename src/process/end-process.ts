import { setTimeout as delay } from "node:timers/promises";
import { processStartTime } from "./process-identity.ts";

const KILL_WAIT_MS = 5_000;
const POLL_MS = 25;

/** A child as the guardian process knows it. */
export interface Guarded {
  readonly pid: number;
  readonly startTime: string;
  readonly signal: NodeJS.Signals;
  readonly graceMs: number;
}

/**
 * Ends a process, which need not be a child of this one, and its group: signal, grace period, SIGKILL. A process that
 * has reused the pid is not touched.
 */
export async function endGuarded({ pid, startTime, signal, graceMs }: Guarded): Promise<void> {
  const isAlive = (): boolean => processStartTime(pid) === startTime;
  const waitGone = async (timeoutMs: number): Promise<void> => {
    for (const endMs = Date.now() + timeoutMs; isAlive() && Date.now() < endMs;) {
      await delay(POLL_MS);
    }
  };
  if (isAlive()) {
    signalSafely(pid, signal);
  }
  await waitGone(graceMs);
  const holder = processStartTime(pid);
  if (holder === null || holder === startTime) {
    signalSafely(-pid, "SIGKILL");
  }
  await waitGone(KILL_WAIT_MS);
}

/** Signals a process, or a group by its negative pid, and ignores that it is gone. */
export function signalSafely(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // On macOS a group of which only zombies are left answers EPERM.
  }
}
