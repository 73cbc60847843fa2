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
