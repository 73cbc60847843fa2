import { CancellationScope, condition } from "@temporalio/workflow";
import type { Intent, Message } from "../contract/messages.ts";

export interface Inbox {
  /** @returns what now holds, once the pool's row has it. */
  post(message: Message): Promise<Intent>;
  ignore(kind: string, reason: string): void;
  /** Whether everything that came has been written down. */
  isEmpty(): boolean;
  received(): number;
}

export interface InboxDeps {
  record(message: Message): Promise<Intent>;
  journalIgnored(kind: string, reason: string): Promise<void>;
}

/**
 * Writes what operators say to the pool's row, in the order in which it came, beside the running watch, which meets
 * it there. Nothing is cancelled for a message, and no message can be slept over.
 */
export function openInbox(deps: InboxDeps, received: number): Inbox {
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
    async post(message) {
      count += 1;
      return await new Promise<Intent>((resolve) => {
        jobs.push(async () => resolve(await deps.record(message)));
      });
    },
    ignore(kind, reason) {
      count += 1;
      jobs.push(async () => await deps.journalIgnored(kind, reason));
    },
    isEmpty: () => jobs.length === 0 && !busy,
    received: () => count,
  };
}
