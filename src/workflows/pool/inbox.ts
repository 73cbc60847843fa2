import { ApplicationFailure, CancellationScope, condition } from "@temporalio/workflow";
import { FAILURES } from "../../contract/failures.ts";
import { addSignal, joined, type ReadSignal, type SignalBatch } from "../../contract/signal-batch.ts";

export interface Inbox {
  /** Takes a signal. Signals that wait next to each other are written together. */
  add(signal: ReadSignal): void;
  /** Runs the job after what came before it. @returns its answer. */
  post<T>(job: () => Promise<T>): Promise<T>;
  /** Fails every post that has no answer yet, since its run must end; signals wait on. */
  giveUpPosts(): void;
  /** Whether nothing waits or runs. */
  isEmpty(): boolean;
  /** Signals and posts so far, those of earlier runs included. */
  received(): number;
  /** Signals so far, those of earlier runs included. */
  signals(): number;
  /** Signals that are not known to be written yet. */
  waiting(): SignalBatch | undefined;
}

/** What an earlier run hands on. */
export interface Carried {
  readonly messages: number;
  readonly signals?: number;
  readonly waiting?: SignalBatch | undefined;
}

interface Item {
  batch?: SignalBatch;
  readonly run?: () => Promise<unknown>;
  readonly fail?: (reason: Error) => void;
}

/**
 * Writes operators' messages to the pool's row in the order in which they came. The running watch is not cancelled for a
 * message: it reads the row at its next look.
 * @param write writes a batch; it never rejects.
 */
export function openInbox(carried: Carried, write: (batch: SignalBatch) => Promise<void>): Inbox {
  const items: Item[] = carried.waiting === undefined ? [] : [{ batch: carried.waiting }];
  let busy = false;
  let count = carried.messages;
  let place = carried.signals ?? 0;

  async function pump(): Promise<void> {
    for (;;) {
      await condition(() => items.length > 0);
      busy = true;
      const [item] = items;
      await (item?.batch === undefined ? item?.run?.() : write(item.batch));
      items.shift();
      busy = false;
    }
  }
  // A cancelled pool still writes messages down.
  void CancellationScope.nonCancellable(pump);

  return {
    add(signal) {
      count += 1;
      place += 1;
      const tail = items.at(-1);
      if (tail?.batch !== undefined && !(busy && items.length === 1)) {
        tail.batch = addSignal(tail.batch, place, signal);
      } else {
        items.push({ batch: addSignal(null, place, signal) });
      }
    },
    async post(job) {
      count += 1;
      return await new Promise((resolve, reject) => {
        const run = async () => await job().then(resolve, reject);
        items.push({ run, fail: reject });
      });
    },
    giveUpPosts() {
      for (const { fail } of items) {
        fail?.(
          ApplicationFailure.nonRetryable(
            "the database has not answered for too long; look at the status, and send it again if it does not hold",
            FAILURES.notWritten,
          ),
        );
      }
    },
    isEmpty: () => items.length === 0,
    received: () => count,
    signals: () => place,
    waiting() {
      const batches = items.flatMap(({ batch }) => (batch === undefined ? [] : [batch]));
      return batches.length === 0 ? undefined : batches.reduce(joined);
    },
  };
}
