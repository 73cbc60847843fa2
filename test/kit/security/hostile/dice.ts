/** Random choices that a seed repeats. */
export interface Dice {
  /** A whole number from 0 to `below` - 1. */
  number(below: number): number;
  pick<T>(of: readonly T[]): T;
  chance(share: number): boolean;
}

/** Mulberry32. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const number = (below: number) => Math.floor(next() * below);
  return { number, pick: (of) => of[number(of.length)]!, chance: (share) => next() < share };
}
