/**
 * One measured figure beside a named peer or limit of the same run.
 * `ratio` is value ÷ peer.value. `limit` bounds the value or the ratio; `ok`: the limit holds, or there is none.
 */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly peer: { readonly name: string; readonly value: number };
  readonly ratio: number;
  readonly betterIs: "higher" | "lower";
  readonly limit?: { readonly on: "value" | "ratio"; readonly bound: number };
  readonly ok: boolean;
}

/** The exports of a file `bench/<name>.ts`. */
export interface Benchmark {
  readonly description: string;
  readonly run: () => Promise<readonly Figure[]>;
}
