/** A transaction may commit late, so rows with lower ids can appear. Ids are therefore read again for this long. */
const LATE_MS = 10_000;

interface Numbered {
  readonly id: number;
}

export interface Tail<Row> {
  /** The newest rows, the oldest of them first; all of them are older than what `next` answers. */
  latest(limit: number): Promise<Row[]>;
  /** Rows that have arrived since. */
  next(): Promise<Row[]>;
}

/** How the rows of one table are read, in the order of their ids. */
export interface NumberedRows<Row> {
  /** The highest id of the table; 0: it has no rows. */
  newestId(): Promise<number>;
  /** At most `limit` rows below this id, the newest first. */
  below(id: number, limit: number): Promise<Row[]>;
  /** All rows above this id, the oldest first. */
  above(id: number): Promise<Row[]>;
}

/** Follows a table whose ids rise. Every call fails as the rows' own calls do. */
export function tailOf<Row extends Numbered>(rows: NumberedRows<Row>): Tail<Row> {
  let after = 0;
  const seen = new Map<number, number>();

  return {
    async latest(limit) {
      after = await rows.newestId();
      return (await rows.below(after + 1, limit)).toReversed();
    },
    async next() {
      const found = (await rows.above(after)).filter(({ id }) => !seen.has(id));
      const now = Date.now();
      for (const { id } of found) {
        seen.set(id, now);
      }
      for (const [id, seenAtMs] of seen) {
        if (now - seenAtMs > LATE_MS) {
          seen.delete(id);
          after = Math.max(after, id);
        }
      }
      return found;
    },
  };
}
