import type { Message } from "./pool-api.ts";

/** More signals than this are folded while they wait. */
const MOST_UNFOLDED = 100;
/** Ignored signals that a fold keeps as examples. */
const EXAMPLES = 3;

/** What the pool's workflow read in a signal. */
export type ReadSignal =
  | { readonly message: Message }
  /** @param kind the signal's name. */
  | { readonly ignored: { readonly kind: string; readonly reason: string } };

/** Signals that are written to the pool's row together. A place counts the pool's signals of all runs, from 1. */
export interface SignalBatch {
  /** Place of its last signal. */
  readonly last: number;
  readonly messages: readonly { readonly place: number; readonly message: Message }[];
  readonly ignored: readonly { readonly place: number; readonly kind: string; readonly reason: string }[];
  /** How many more were folded, by kind; `ignored` counts those that could not be read. */
  readonly folded: Readonly<Record<string, number>>;
}

/** What a message sets. Of all messages that set the same, only the last one counts. */
const SETS: Readonly<Record<Message["kind"], readonly string[]>> = {
  scale: ["hold"],
  pause: ["mode"],
  drain: ["mode"],
  shutdown: ["mode"],
  resume: ["mode", "breaker"],
};

/** Adds a signal to those that wait, and folds them if they have become too many. */
export function addSignal(batch: SignalBatch | null, place: number, signal: ReadSignal): SignalBatch {
  const { messages, ignored, folded } = batch ?? { messages: [], ignored: [], folded: {} };
  const added =
    "message" in signal
      ? { messages: [...messages, { place, message: signal.message }], ignored }
      : { messages, ignored: [...ignored, { place, ...signal.ignored }] };
  const longer = { last: place, folded, ...added };
  return added.messages.length + added.ignored.length > MOST_UNFOLDED ? fold(longer) : longer;
}

/** Two batches as one. The second one's signals came later. */
export function joined(first: SignalBatch, second: SignalBatch): SignalBatch {
  const folded: Record<string, number> = { ...first.folded };
  for (const [kind, count] of Object.entries(second.folded)) {
    folded[kind] = (folded[kind] ?? 0) + count;
  }
  const messages = [...first.messages, ...second.messages];
  const ignored = [...first.ignored, ...second.ignored];
  const batch = { last: second.last, messages, ignored, folded };
  return messages.length + ignored.length > MOST_UNFOLDED ? fold(batch) : batch;
}

/** Leaves out every message that a later one makes void. To write what is left has the effect of writing all. */
export function fold({ last, messages, ignored, folded }: SignalBatch): SignalBatch {
  const lastToSet = new Map<string, number>();
  for (const { place, message } of messages) {
    for (const part of SETS[message.kind]) {
      lastToSet.set(part, place);
    }
  }
  const places = new Set(lastToSet.values());
  const counts: Record<string, number> = { ...folded };
  for (const { message } of messages.filter(({ place }) => !places.has(place))) {
    counts[message.kind] = (counts[message.kind] ?? 0) + 1;
  }
  if (ignored.length > EXAMPLES) {
    counts["ignored"] = (counts["ignored"] ?? 0) + ignored.length - EXAMPLES;
  }
  const kept = messages.filter(({ place }) => places.has(place));
  return { last, messages: kept, ignored: ignored.slice(0, EXAMPLES), folded: counts };
}
