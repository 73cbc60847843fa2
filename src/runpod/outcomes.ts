import type { Pod } from "./types.ts";

export type RefusalReason =
  | "capacity"
  | "funds"
  | "forbidden"
  | "invalid"
  | "rate_limited"
  | "unauthorized"
  | "unreachable";

/**
 * The outcome of one POST.
 *
 * - `refused`: certainly no pod was created; the same name may be posted again.
 * - `ambiguous`: a pod may exist and bill. A list must show whether the name exists before it is posted again.
 */
export type CreatePodOutcome =
  | { readonly kind: "created"; readonly pod: Pod }
  | {
      readonly kind: "refused";
      readonly reason: RefusalReason;
      /** HTTP status; null when no request left this machine. */
      readonly status: number | null;
      readonly detail: string;
      readonly retryAfterSec?: number;
    }
  | {
      readonly kind: "ambiguous";
      readonly detail: string;
      /** The answer speaks of a lack of funds, but its status does not prove that no pod was created. */
      readonly lacksFunds?: boolean;
    };

/** The provider could not be read. This must never be taken for "there is nothing". */
export interface Unknown {
  readonly kind: "unknown";
  readonly detail: string;
  readonly retryAfterSec?: number;
}

export type GetPodOutcome = { readonly kind: "found"; readonly pod: Pod } | { readonly kind: "absent" } | Unknown;

export type ListPodsOutcome = { readonly kind: "complete"; readonly pods: readonly Pod[] } | Unknown;

/** `absent` is the provider's 404. It has been seen for living pods, so it is evidence, not proof. */
export type DeletePodOutcome = { readonly kind: "accepted" } | { readonly kind: "absent" } | Unknown;
