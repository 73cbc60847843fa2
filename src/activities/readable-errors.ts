import { storableText } from "../../supabase/functions/_shared/text.ts";

/**
 * The activities, whose errors hold no half of a character. Temporal takes an error's text as UTF-8, so a failure with one
 * could not be reported, and what it quotes may come from a provider or an operator.
 */
export function withReadableErrors<A extends object>(activities: A): A {
  const entries = Object.entries(activities).map(([name, act]) => [
    name,
    async (...args: unknown[]): Promise<unknown> => {
      try {
        return await (act as (...given: unknown[]) => Promise<unknown>)(...args);
      } catch (error) {
        makeReadable(error);
        throw error;
      }
    },
  ]);
  return Object.fromEntries(entries) as A;
}

function makeReadable(error: unknown): void {
  for (let at = error; at instanceof Error; at = at.cause) {
    at.message = storableText(at.message);
    at.stack = storableText(at.stack ?? "");
  }
}
