import { formatDuration } from "./durations.ts";
import { plain } from "./output.ts";
import type { Message } from "./pool-reading.ts";

/** What became of a message, in words. */
export function describeMessage({ at, kind, reason }: Message, nowMs: number): string {
  return plain(`${formatDuration(nowMs - Date.parse(at))} ago: ${kind}: ${reason}`);
}

/** Whether a message did not take effect as it was sent. */
export function isWithoutEffect({ kind }: Message): boolean {
  return kind === "ignored" || kind === "repeated";
}
