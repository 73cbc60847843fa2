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
 * What came of one POST.
 *
 * - `refused`: definite, no pod was created; the same name may be posted again.
 * - `ambiguous`: a pod may exist and bill. The name must be settled by listing before anything else is posted.
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
  | { readonly kind: "ambiguous"; readonly detail: string };

/** The provider could not be read. Never to be taken for "nothing there". */
export interface Unknown {
  readonly kind: "unknown";
  readonly detail: string;
  readonly retryAfterSec?: number;
}

export type GetPodOutcome = { readonly kind: "found"; readonly pod: Pod } | { readonly kind: "absent" } | Unknown;

export type ListPodsOutcome = { readonly kind: "complete"; readonly pods: readonly Pod[] } | Unknown;

/** `absent` is the provider's 404, which has been seen for pods that lived: evidence, not proof. */
export type DeletePodOutcome = { readonly kind: "accepted" } | { readonly kind: "absent" } | Unknown;
