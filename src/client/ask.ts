import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import type { Context } from "./context.ts";

/** Asks on the terminal; only y and yes agree. A closed or ended input says no. */
export async function agrees({ stdin, output }: Context, question: string): Promise<boolean> {
  // Readline would echo to its output; the terminal itself shows what is typed.
  const lines = createInterface({ input: stdin, output: new Writable({ write: (_chunk, _encoding, done) => done() }) });
  try {
    output.question(`${question} [y/N] `);
    const closed = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
    const answer = await Promise.race([lines.question(""), closed]);
    return /^\s*y(es)?\s*$/i.test(answer);
  } finally {
    lines.close();
  }
}
