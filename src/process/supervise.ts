import { setTimeout as sleep } from "node:timers/promises";
import type { ManagedProcess } from "./guardian.ts";

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 30_000;
/** After a life of this length, the wait before the next start is short again. */
const SOUND_MS = 60_000;

interface Supervised {
  start(): ManagedProcess;
  say(line: string): void;
  readonly stopping: AbortSignal;
}

/** Keeps a process running: starts it again when it dies, after a wait that doubles. Resolves once `stopping` aborts. */
export async function supervise({ start, say, stopping }: Supervised): Promise<void> {
  let backoffMs = FIRST_BACKOFF_MS;
  while (!stopping.aborted) {
    const startedMs = Date.now();
    const running = start();
    const { code, signal } = await running.exited;
    if (stopping.aborted) {
      return;
    }
    if (Date.now() - startedMs >= SOUND_MS) {
      backoffMs = FIRST_BACKOFF_MS;
    }
    say(`the ${running.name} died (${signal ?? `code ${code}`}); starting it again in ${backoffMs / 1000} s`);
    await sleep(backoffMs, undefined, { signal: stopping }).catch(() => undefined);
    backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
  }
}
