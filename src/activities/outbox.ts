import { setTimeout as sleep } from "node:timers/promises";
import { Context } from "@temporalio/activity";
import type { Logger } from "pino";
import type { DeliveryCounts, NotificationActivities } from "../contract/upkeep.ts";
import type { Notification, OutboxStore } from "../supabase/outbox-store.ts";
import { addToTrace } from "./on-trace.ts";
import { type Receivers, sendNotification } from "./send-notification.ts";

const AT_ONCE = 10;
const FIRST_RETRY_SEC = 5;
const LONGEST_RETRY_SEC = 3600;
const LAST_ATTEMPT = 10;
const OUTAGE_LOG_MS = 60_000;

export interface OutboxDeps {
  readonly outbox: OutboxStore;
  readonly logger: Logger;
  /** Where notifications may go. */
  readonly receivers: Receivers;
  /** Time between two reads of an empty outbox; default 2 s. */
  readonly pollMs?: number;
  /** How long one long poll lasts; default five minutes. */
  readonly watchMs?: number;
  /** Aborted when this process is to stop: what is being sent is finished, and no more is taken. */
  readonly stopping?: AbortSignal;
}

/** Sends the outbox. It returns only counts, because secrets and addresses must not reach a workflow's history. */
export function createOutboxActivities(deps: OutboxDeps): NotificationActivities {
  const { outbox, logger, pollMs = 2_000, watchMs = 300_000 } = deps;
  return {
    async deliverNotifications() {
      const context = Context.current();
      const { cancellationSignal } = context;
      const over =
        deps.stopping === undefined ? cancellationSignal : AbortSignal.any([cancellationSignal, deps.stopping]);
      const counts = { delivered: 0, failed: 0, dead: 0 };
      const underWay = new Set<Promise<void>>();
      const endAtMs = Date.now() + watchMs;
      let outageLoggedAtMs = 0;

      while (Date.now() < endAtMs && !over.aborted) {
        context.heartbeat();
        let taken = 0;
        try {
          const due = underWay.size < AT_ONCE ? await outbox.take(AT_ONCE - underWay.size) : [];
          taken = due.length;
          for (const notification of due) {
            const job = deliver(deps, notification, cancellationSignal, counts).finally(() => underWay.delete(job));
            underWay.add(job);
          }
        } catch (error) {
          if (Date.now() - outageLoggedAtMs > OUTAGE_LOG_MS) {
            outageLoggedAtMs = Date.now();
            logger.warn({ err: error }, "the outbox cannot be read: notifications wait");
          }
        }
        if (taken === 0) {
          const pause = sleep(pollMs, undefined, { signal: over }).catch(() => undefined);
          await Promise.race([pause, ...(underWay.size === AT_ONCE ? underWay : [])]);
        }
      }
      context.heartbeat();
      await Promise.all(underWay);
      return counts;
    },
  };
}

async function deliver(
  { outbox, logger, receivers }: OutboxDeps,
  notification: Notification,
  signal: AbortSignal,
  counts: { -readonly [Name in keyof DeliveryCounts]: number },
): Promise<void> {
  const { id, kind, attempts, endpointId, payload } = notification;
  const task = payload["task_id"];
  addToTrace("notification", { kind, ...(typeof task === "string" && { task }) });
  const problem = await sendNotification(notification, signal, receivers);
  if (signal.aborted && problem !== null) {
    // The activity was cancelled: that is not the endpoint's fault, and the row becomes due again by itself.
    return;
  }
  const isDead = problem !== null && attempts >= LAST_ATTEMPT;
  counts[problem === null ? "delivered" : isDead ? "dead" : "failed"] += 1;
  try {
    if (problem === null) {
      await outbox.delivered(id);
    } else {
      await outbox.failed(id, problem, isDead ? null : retryDelaySec(attempts));
    }
  } catch (error) {
    logger.warn(
      { delivery: id, endpointId, err: error },
      "the outcome of a delivery could not be recorded: it is sent once more",
    );
  }
  if (isDead) {
    logger.error({ delivery: id, kind, endpointId, attempts, problem }, "a notification is given up");
  }
}

/** Seconds until the next attempt, after this many attempts: 5, then doubling, at most an hour. */
export function retryDelaySec(attempts: number): number {
  return Math.min(LONGEST_RETRY_SEC, FIRST_RETRY_SEC * 2 ** (attempts - 1));
}
