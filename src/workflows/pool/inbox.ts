import { CancellationScope, condition } from "@temporalio/workflow";

export interface Inbox {
  /** Runs the job after those posted before it. @returns its answer. */
  post<T>(job: () => Promise<T>): Promise<T>;
  /** Whether no job waits or runs. */
  isEmpty(): boolean;
  received(): number;
}

/**
 * Writes operators' messages to the pool's row, one after the other, in the order in which they came. The running watch
 * is not cancelled for a message: it reads the row at its next look.
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
  // A cancelled pool still writes messages down.
  void CancellationScope.nonCancellable(pump);

  return {
    async post(job) {
      count += 1;
      return await new Promise((resolve) => {
        jobs.push(async () => {
          const answer = job();
          resolve(answer);
          // The caller of post gets the error; the next job must not wait for it.
          await answer.catch(() => undefined);
        });
      });
    },
    isEmpty: () => jobs.length === 0 && !busy,
    received: () => count,
  };
}
