import { ActivityFailure, ApplicationFailure, log } from "@temporalio/workflow";
import { FAILURES } from "../../contract/failures.ts";
import { type MessageOutcome, poolSignals } from "../../contract/pool-api.ts";
import { outcomesOf } from "./recent.ts";
import type { SignalBatch } from "../../contract/signal-batch.ts";
import { poolActivities } from "./activities.ts";

const FINAL: ReadonlySet<string | null | undefined> = new Set([FAILURES.databaseRefusal, FAILURES.repeated]);

/** The final refusal of an activity, with its reason. @throws the error itself when it is anything else. */
export function reasonOfRefusal(error: unknown): ApplicationFailure {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (cause instanceof ApplicationFailure && FINAL.has(cause.type)) {
    return ApplicationFailure.nonRetryable(cause.message, cause.type);
  }
  throw error;
}

/**
 * Writes signals down, which have no caller to be answered, and answers what became of each, the oldest first. If the database refuses them for good, each is written by
 * itself; of one that is refused again an entry without the sender's words is written, and if that is refused too, the
 * log has it.
 */
export async function writeSignals(pool: string, batch: SignalBatch): Promise<MessageOutcome[]> {
  try {
    await poolActivities.recordSignals(pool, batch);
    return outcomesOf(batch);
  } catch (error) {
    const { message: reason } = reasonOfRefusal(error);
    const { messages, ignored, folded } = batch;
    if (messages.length + ignored.length > 1) {
      const apart = [
        ...messages.map((entry) => ({ messages: [entry], ignored: [], last: entry.place })),
        ...ignored.map((entry) => ({ messages: [], ignored: [entry], last: entry.place })),
      ].toSorted((one, other) => one.last - other.last);
      const outcomes: MessageOutcome[] = [];
      for (const [index, each] of apart.entries()) {
        outcomes.push(...(await writeSignals(pool, { ...each, folded: index === 0 ? folded : {} })));
      }
      return outcomes;
    }
    const name = messages[0]?.message.kind ?? ignored[0]?.kind ?? "";
    // The name of an unknown signal is the sender's word too.
    const kind = Object.hasOwn(poolSignals, name) ? name : "unknown signal";
    await journalRefusal(pool, kind, reason);
    return [{ at: new Date().toISOString(), kind, became: "ignored", why: "the database refused it" }];
  }
}

/** Notes that the database takes no message of this kind. */
export async function journalRefusal(pool: string, kind: string, reason: string): Promise<void> {
  log.error("the database refuses a message", { pool, kind, reason });
  try {
    await poolActivities.journalIgnored(pool, kind, "the database refused it");
  } catch (error) {
    log.error("the database refuses to journal a message", { pool, kind, reason: reasonOfRefusal(error).message });
  }
}
