import type { Figure } from "../figure.ts";

/** One way to do the work. A round returns its rate. */
export interface Contender {
  readonly name: string;
  round(): Promise<number>;
}

/** The rates of each contender, one a round. The order rotates from round to round, so that noise and age affect all alike. */
export async function compete(contenders: readonly Contender[], rounds: number): Promise<Map<string, number[]>> {
  const rates = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const { name, round: run } = contenders[(round + turn) % contenders.length]!;
      process.stderr.write(`\r  round ${round + 1}/${rounds}: ${name}`.padEnd(78));
      rates.get(name)!.push(await run());
    }
  }
  process.stderr.write(`\r${"".padEnd(78)}\r`);
  return rates;
}

/** The figure of the round with the median ratio. */
export function compare(
  rates: ReadonlyMap<string, readonly number[]>,
  [ours, peer]: readonly [string, string],
  unit: string,
  bound?: number,
): Figure {
  const pairs = rates.get(ours)!.map((value, round) => ({ value, peer: rates.get(peer)![round]! }));
  const sorted = pairs.toSorted((a, b) => a.value / a.peer - b.value / b.peer);
  const { value, peer: peerValue } = sorted[Math.floor((sorted.length - 1) / 2)]!;
  const ratio = value / peerValue;
  return {
    name: ours,
    value,
    unit,
    peer: { name: peer, value: peerValue },
    ratio,
    betterIs: "higher",
    ...(bound === undefined ? {} : { limit: { on: "ratio", bound } as const }),
    ok: bound === undefined || ratio >= bound,
  };
}
