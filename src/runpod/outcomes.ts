import type { Pod } from "./types.ts";

export type RefusalReason =
  | "capacity"
  | "funds"
  | "forbidden"
  | "invalid"
  | "rate_limited"
  | "unauthorized"
  | "unreachable";

/** The provider certainly did not do what it was asked to do. */
export interface Refused {
  readonly kind: "refused";
  readonly reason: RefusalReason;
  /** HTTP status; null when no request left this machine. */
  readonly status: number | null;
  readonly detail: string;
  readonly retryAfterSec?: number;
}

/** The thing may exist and bill. A list must show whether it exists before it is asked for again. */
export interface Ambiguous {
  readonly kind: "ambiguous";
  readonly detail: string;
  /** The answer speaks of a lack of funds, but its status does not prove that nothing was created. */
  readonly lacksFunds?: boolean;
}

/**
 * The outcome of one POST.
 *
 * - `refused`: certainly no pod was created; the same name may be posted again.
 * - `ambiguous`: a pod may exist and bill. A list must show whether the name exists before it is posted again.
 */
export type CreatePodOutcome = { readonly kind: "created"; readonly pod: Pod } | Refused | Ambiguous;

/** The provider could not be read. This must never be taken for "there is nothing". */
export interface Unknown {
  readonly kind: "unknown";
  readonly detail: string;
  /** Why, if the answer proves it. Missing after an answer that proves nothing, such as a 500. */
  readonly reason?: RefusalReason;
  readonly retryAfterSec?: number;
}

/** The provider's 404. It has been seen for living things, so it is evidence, not proof. */
export interface Absent {
  readonly kind: "absent";
}

export type GetPodOutcome = { readonly kind: "found"; readonly pod: Pod } | Absent | Unknown;

export type ListPodsOutcome = { readonly kind: "complete"; readonly pods: readonly Pod[] } | Unknown;

export type DeletePodOutcome = { readonly kind: "accepted" } | Absent | Unknown;

/**
 * The outcome of starting, stopping or restarting a pod.
 *
 * - `done`: the provider took the order; `pod` is what it shows then.
 * - `conflict`: the pod's status does not allow the action (409); nothing was done.
 * - `unknown`: the action may or may not have been done; read the pod.
 */
export type ActOnPodOutcome =
  | { readonly kind: "done"; readonly pod: Pod }
  | { readonly kind: "conflict"; readonly detail: string }
  | Absent
  | Refused
  | Unknown;

/** The outcome of deleting something that is no pod. `refused`: it still exists, such as a volume in use. */
export type DeleteOutcome = { readonly kind: "accepted" } | Absent | Refused | Unknown;
