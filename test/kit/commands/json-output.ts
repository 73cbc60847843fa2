import { z } from "zod";
import { JSON_OF } from "../../../src/client/schemas/verbs.ts";

const LONGEST_VERB = 2;

/** The verb that a command line calls; null: none that prints JSON. */
function verbOf(args: readonly string[]): string | null {
  const words = args.filter((arg) => !arg.startsWith("-"));
  for (const index of words.keys()) {
    for (let length = LONGEST_VERB; length > 0; length -= 1) {
      const verb = words.slice(index, index + length).join(" ");
      if (Object.hasOwn(JSON_OF, verb)) {
        return verb;
      }
    }
  }
  return null;
}

/**
 * What a command printed with --json is as its published schema says, line by line; nothing is printed when it fails early.
 * @throws Error that names the field
 */
export function requireSchema(args: readonly string[], stdout: string): void {
  const verb = args.includes("--json") && !args.includes("--help") ? verbOf(args) : null;
  const schema = verb === null ? undefined : JSON_OF[verb];
  for (const line of schema === undefined || stdout === "" ? [] : stdout.split("\n")) {
    const checked = schema?.safeParse(JSON.parse(line));
    if (checked?.error) {
      throw new Error(
        `gpu-pool ${verb} --json printed what its schema in src/client/schemas/ does not allow:\n${z.prettifyError(checked.error)}\n${line.slice(0, 2000)}`,
      );
    }
  }
}
