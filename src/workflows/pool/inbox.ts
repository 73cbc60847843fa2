import { CancellationScope, condition } from "@temporalio/workflow";

export interface Inbox {
  /** @returns what the job answers, once all that came before it has been written down. */
  post<T>(job: () => Promise<T>): Promise<T>;
  /** Whether everything that came has been written down. */
  isEmpty(): boolean;
  received(): number;
}

/**
 * Writes what operators say to the pool's row, in the order in which it came, beside the running watch, which meets
 * it there. Nothing is cancelled for a message, and no message can be slept over.
 */
export function openInbox(received: number): Inbox {
  const jobs: (() => Promise<void>)[] = [];
  let busy = false;
  let count = received;

  async function pump(): Promise<void> {
    for (;;) {
      await condition(() => jobs.length > 0);
      busy = true;
      await jobs.shift()?.();
      busy = false;
    }
  }
  // Messages are written down even while the pool is being cancelled.
  void CancellationScope.nonCancellable(pump);

  return {
    async post(job) {
      count += 1;
      return await new Promise((resolve) => {
        jobs.push(async () => {
          const answer = job();
          resolve(answer);
          // Whoever posted it hears of a failure; the next message must not wait for ever.
          await answer.catch(() => undefined);
        });
      });
    },
    isEmpty: () => jobs.length === 0 && !busy,
    received: () => count,
  };
}
