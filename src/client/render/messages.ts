import { formatDuration } from "./durations.ts";
import { plain } from "./output.ts";
import type { Message } from "./pool-reading.ts";

/** The kinds that say themselves what became of a message. Any other is the name of a message that was taken. */
const BECAME: ReadonlyMap<string, string> = new Map([
  ["ignored", "ignored"],
  ["folded", "folded"],
  ["repeated", "not taken again"],
]);

/** What became of a message, in words. */
export function describeMessage({ at, kind, reason }: Message, nowMs: number): string {
  const became = BECAME.get(kind) ?? `${kind} taken`;
  return plain(`${formatDuration(nowMs - Date.parse(at))} ago: ${became}: ${reason}`);
}

/** Whether a message did not take effect as it was sent. */
export function isWithoutEffect({ kind }: Message): boolean {
  return kind === "ignored" || kind === "repeated";
}
