import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Message } from "../../../src/contract/pool-api.ts";
import { addSignal, fold, joined, type ReadSignal, type SignalBatch } from "../../../src/contract/signal-batch.ts";

const message = fc.oneof(
  fc.record({
    kind: fc.constant("scale" as const),
    target: fc.option(fc.integer({ min: 0, max: 9 })),
    forSec: fc.option(fc.integer({ min: 1, max: 600 })),
  }),
  fc.constantFrom<Message>({ kind: "pause" }, { kind: "resume" }, { kind: "drain" }),
);
const signal: fc.Arbitrary<ReadSignal> = fc.oneof(
  { weight: 4, arbitrary: message.map((value) => ({ message: value })) },
  { weight: 1, arbitrary: fc.constant({ ignored: { kind: "dance", reason: "unknown signal" } }) },
);

/** As pool_set_intent. */
function apply(messages: readonly Message[]) {
  const row = { mode: "normal", hold: null as number | null, forSec: null as number | null, breaker: "open" };
  for (const each of messages) {
    if (each.kind === "scale") {
      Object.assign(row, { hold: each.target, forSec: each.target === null ? null : each.forSec });
    } else {
      row.mode = each.kind === "resume" ? "normal" : each.kind;
      row.breaker = each.kind === "resume" ? "closed" : row.breaker;
    }
  }
  return row;
}

function batchOf(signals: readonly ReadSignal[], from = 1): SignalBatch {
  return signals.reduce<SignalBatch | null>((batch, each, index) => addSignal(batch, from + index, each), null)!;
}

function messagesOf(signals: readonly ReadSignal[]): Message[] {
  return signals.flatMap((each) => ("message" in each ? [each.message] : []));
}

function count({ messages, ignored, folded }: SignalBatch): number {
  return Object.values(folded).reduce((sum, each) => sum + each, messages.length + ignored.length);
}

describe("signals that wait to be written", () => {
  it("invariant 18: have the effect of all of them when they are folded, and none is left uncounted", () => {
    fc.assert(
      fc.property(fc.array(signal, { minLength: 1, maxLength: 300 }), (signals) => {
        for (const batch of [batchOf(signals), fold(batchOf(signals))]) {
          expect(apply(batch.messages.map((each) => each.message))).toEqual(apply(messagesOf(signals)));
          expect(batch.messages.length + batch.ignored.length).toBeLessThanOrEqual(100);
          expect(batch.last).toBe(signals.length);
          expect(count(batch)).toBe(signals.length);
        }
      }),
    );
  });

  it("invariant 18: have it also when some of them are written already, in whatever batches", () => {
    const two = fc.tuple(fc.array(signal, { minLength: 1, maxLength: 150 }), fc.array(signal, { minLength: 1 }));
    fc.assert(
      fc.property(two, fc.nat(), ([before, after], seed) => {
        const all = [...before, ...after];
        const batch = joined(batchOf(before), batchOf(after, before.length + 1));
        const written = seed % (all.length + 1);
        const rest = batch.messages.filter(({ place }) => place > written).map((each) => each.message);
        expect(apply([...messagesOf(all.slice(0, written)), ...rest])).toEqual(apply(messagesOf(all)));
        expect(count(batch)).toBe(all.length);
      }),
    );
  });

  it("stay as they are while they are few", () => {
    const signals = Array.from({ length: 100 }, (_, target) => ({
      message: { kind: "scale" as const, target, forSec: null },
    }));
    expect(batchOf(signals)).toMatchObject({ messages: signals.map(({ message: value }) => ({ message: value })) });
    expect(batchOf([...signals, { message: { kind: "pause" } }])).toEqual({
      last: 101,
      messages: [
        { place: 100, message: signals[99]?.message },
        { place: 101, message: { kind: "pause" } },
      ],
      ignored: [],
      folded: { scale: 99 },
    });
  });
});
