/** A state of things that a person should know of. An alert is open as long as it lasts. */
export interface Condition {
  /** A kind of the table alert_kinds. */
  readonly kind: string;
  /** What it is about: a pool, a worker, a pod, a task, or ACCOUNT. */
  readonly subject: string;
  /** A sentence. It holds no figure that grows all the time, because each change of it is a write. */
  readonly message: string;
}

/** An alert as people see it; times are ISO 8601. */
export interface Alert extends Condition {
  /** Null: it concerns every pool. */
  readonly pool: string | null;
  readonly openedAt: string;
  /** Null: it is open. */
  readonly closedAt: string | null;
  readonly whatToDo: string;
}

/** Subject of what concerns the whole account of the provider. */
export const ACCOUNT = "account";
