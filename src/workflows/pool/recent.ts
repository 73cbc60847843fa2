import type { Intent } from "../../contract/intent.ts";
import type { Message, MessageOutcome } from "../../contract/pool-api.ts";
import type { SignalBatch } from "../../contract/signal-batch.ts";

const KEPT = 5;

/** The last messages with these before them, the newest first. @param later the oldest first. */
export function withRecent(
  recent: readonly MessageOutcome[],
  later: readonly MessageOutcome[],
): readonly MessageOutcome[] {
  return [...later.toReversed(), ...recent].slice(0, KEPT);
}

export function taken(kind: string, why: string): MessageOutcome {
  return { at: new Date().toISOString(), kind, became: "taken", why };
}

/** What became of the signals of a batch that is written, in their order. */
export function outcomesOf({ messages, ignored, folded }: SignalBatch): MessageOutcome[] {
  const at = new Date().toISOString();
  const read = [
    ...messages.map(({ place, message }) => ({ place, outcome: taken(message.kind, describeMessage(message)) })),
    ...ignored.map(({ place, kind, reason: why }) => ({
      place,
      outcome: { at, kind, became: "ignored", why } as const,
    })),
  ].toSorted((one, other) => one.place - other.place);
  const counted = Object.entries(folded).map(([kind, count]): MessageOutcome => ({
    at,
    kind,
    became: "folded",
    why: `${count} more, too many to be written one by one`,
  }));
  return [...counted, ...read.map(({ outcome }) => outcome)];
}

/** An operator's wish in words. */
export function describeWish({ mode, hold, holdUntilMs }: Intent): string {
  if (hold === null) {
    return mode;
  }
  return `${mode}, held at ${hold}${holdUntilMs === null ? "" : ` until ${new Date(holdUntilMs).toISOString()}`}`;
}

function describeMessage(message: Message): string {
  if (message.kind !== "scale") {
    return message.kind;
  }
  const { target, forSec } = message;
  return target === null ? "the policy decides" : `held at ${target}${forSec === null ? "" : ` for ${forSec} s`}`;
}
