/**
 * - `release`: this process has to go; the lease is given back.
 * - `abandon`: the worker is written off; its leases are no longer its to touch.
 * - `lease_lost`: the task belongs to somebody else now; the worker goes on.
 */
export type InterruptionKind = "release" | "abandon" | "lease_lost";

/** Why a task in progress is broken off: the abort reason of its signal. */
export class Interruption extends Error {
  override readonly name = "Interruption";
  readonly kind: InterruptionKind;

  constructor(kind: InterruptionKind, why: string) {
    super(why);
    this.kind = kind;
  }
}

/** What the worker has been told about its own end. The first order of each sort counts. */
export interface Orders {
  /** Aborted: claim no more. */
  leaving: AbortSignal;
  /** Aborted, with an Interruption: break off the current task as well. */
  stopping: AbortSignal;
  exitCode(): number;
  /** Finish the current task, claim no more. */
  leave(why: string): void;
  /** Break off the current task and go. */
  stop(kind: "release" | "abandon", why: string, exitCode?: number): void;
}

export const EXIT_CREDENTIAL_REFUSED = 77;

/** @param onOrder told once per effective order, for the log. */
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

/** The credential is dead: nothing this worker writes would be accepted. */
export function stopRefused(orders: Orders, error: Error): void {
  orders.stop("abandon", error.message, EXIT_CREDENTIAL_REFUSED);
}
