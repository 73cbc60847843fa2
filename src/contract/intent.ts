/** closing: the pool drains, and its workflow ends when no pod is left; a new start begins as normal. */
export const MODES = ["normal", "draining", "paused", "closing"] as const;
export type Mode = (typeof MODES)[number];

/** The operators' wishes for a pool, as its row holds them. */
export interface Intent {
  readonly mode: Mode;
  /** Fixed size; null: the policy decides. */
  readonly hold: number | null;
  readonly holdUntilMs: number | null;
  readonly version: number;
}
