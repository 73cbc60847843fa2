/**
 * - `release`: this process has to end; it gives its lease back.
 * - `abandon`: the worker's row has ended or its credential is dead; it must not write about its task any more.
 * - `lease_lost`: the task is no longer this worker's; the worker goes on with the next one.
 */
export type InterruptionKind = "release" | "abandon" | "lease_lost";

/** The reason with which a task's signal aborts. */
export class Interruption extends Error {
  override readonly name = "Interruption";
  readonly kind: InterruptionKind;

  constructor(kind: InterruptionKind, why: string) {
    super(why);
    this.kind = kind;
  }
}

/** Orders to this worker to end. Of each kind (leave, stop) only the first counts. */
export interface Orders {
  /** Aborts when the worker must claim no more. */
  readonly leaving: AbortSignal;
  /** Aborts with an Interruption when the worker must break off its task too. */
  readonly stopping: AbortSignal;
  exitCode(): number;
  /** Finish the current task, claim no more. */
  leave(why: string): void;
  /** Break off the current task and end. */
  stop(kind: "release" | "abandon", why: string, exitCode?: number): void;
}

export const EXIT_CREDENTIAL_REFUSED = 77;

/** @param onOrder called once per order that counts, for the log. */
export function createOrders(onOrder: (order: "leave" | "stop", why: string) => void): Orders {
  const leaving = new AbortController();
  const stopping = new AbortController();
  let code = 0;
  return {
    leaving: leaving.signal,
    stopping: stopping.signal,
    exitCode: () => code,
    leave(why) {
      if (leaving.signal.aborted) {
        return;
      }
      onOrder("leave", why);
      leaving.abort(new Error(why));
    },
    stop(kind, why, exitCode = 0) {
      if (stopping.signal.aborted) {
        return;
      }
      code = exitCode;
      onOrder("stop", why);
      leaving.abort(new Error(why));
      stopping.abort(new Interruption(kind, why));
    },
  };
}

/** Ends the worker after its credential was refused: the database would accept nothing it writes. */
export function stopRefused(orders: Orders, error: Error): void {
  orders.stop("abandon", error.message, EXIT_CREDENTIAL_REFUSED);
}
