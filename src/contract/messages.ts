import type { Snapshot } from "./plan.ts";

/** What operators can say to a pool, and what it answers. */

/** closing: draining, and the workflow ends once no pod is left; a new start begins as normal. */
export type Mode = "normal" | "draining" | "paused" | "closing";

/** What operators want of a pool, as its row holds it. */
export interface Intent {
  readonly mode: Mode;
  /** Fixed size; null: the policy decides. */
  readonly hold: number | null;
  readonly holdUntilMs: number | null;
  readonly version: number;
}

/** What operators say. `scale` comes as `{ target: n | null, for?: seconds }`; null gives control back to the policy. */
export type Message =
  | { readonly kind: "scale"; readonly target: number | null; readonly forSec: number | null }
  | { readonly kind: "drain" }
  | { readonly kind: "resume" }
  | { readonly kind: "pause" }
  | { readonly kind: "shutdown" };

export interface PoolStatus {
  readonly pool: string;
  readonly phase: "starting" | "watching" | "performing" | "closing";
  readonly snapshot: Snapshot | null;
  readonly lastDecision: { readonly id: string; readonly actions: number; readonly reason: string } | null;
  readonly watches: number;
  readonly messages: number;
}
