import { ActivityFailure, ApplicationFailure, log } from "@temporalio/workflow";
import { FAILURES } from "../../contract/failures.ts";
import { poolActivities } from "./activities.ts";
import type { PoolState } from "./state.ts";

/** The database's final refusal of an activity, with its reason. @throws the error itself when it is anything else. */
export function reasonOfRefusal(error: unknown): ApplicationFailure {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (cause instanceof ApplicationFailure && cause.type === FAILURES.databaseRefusal) {
    return ApplicationFailure.nonRetryable(cause.message, FAILURES.databaseRefusal);
  }
  throw error;
}

/**
 * Writes down what has no caller to be answered. If the database refuses it for good, an entry without the sender's
 * words is written instead; if that is refused too, the log has it.
 */
export async function writeDown(
  { pool, inbox }: PoolState,
  kind: string,
  write: () => Promise<unknown>,
): Promise<void> {
  try {
    await inbox.post(write);
  } catch (error) {
    const { message: reason } = reasonOfRefusal(error);
    log.error("the database refuses a message", { pool, kind, reason });
    try {
      await inbox.post(() => poolActivities.journalIgnored(pool, kind, "the database refused it"));
    } catch (again) {
      log.error("the database refuses to journal a message", { pool, kind, reason: reasonOfRefusal(again).message });
    }
  }
}
