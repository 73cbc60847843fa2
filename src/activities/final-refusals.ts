import { ApplicationFailure } from "@temporalio/common";
import { FAILURES } from "../contract/failures.ts";
import { isFinal } from "../supabase/database-error.ts";

/**
 * The activities, each of which fails for good when the database refuses what it would refuse again. Temporal retries
 * every other failure without end, and whatever waits behind it would wait too.
 */
export function withFinalRefusals<A extends object>(activities: A): A {
  const entries = Object.entries(activities).map(([name, act]) => [
    name,
    async (...args: unknown[]): Promise<unknown> => {
      try {
        return await (act as (...given: unknown[]) => Promise<unknown>)(...args);
      } catch (error) {
        if (isFinal(error)) {
          throw ApplicationFailure.nonRetryable(error.message, FAILURES.databaseRefusal);
        }
        throw error;
      }
    },
  ]);
  return Object.fromEntries(entries) as A;
}
