import type { Intent } from "../../contract/intent.ts";
import { formatDuration } from "./durations.ts";

/** An operator's intent for a pool, in words. */
export function describeIntent({ mode, hold, holdUntilMs }: Intent, nowMs: number): string {
  const until = holdUntilMs === null ? "" : ` for another ${formatDuration(holdUntilMs - nowMs)}`;
  const held = hold === null ? null : `held at ${hold}${until}`;
  switch (mode) {
    case "normal":
      return held ?? "normal, the policy decides its size";
    case "draining":
      return `draining to zero, stays there until gpu-pool resume${held === null ? "" : `; then ${held}`}`;
    case "paused":
      return `paused, no scaling either way until gpu-pool resume${held === null ? "" : `; then ${held}`}`;
    case "closing":
      return "closing: draining to zero, then its workflow ends";
  }
}
