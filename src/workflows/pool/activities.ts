import { ActivityCancellationType, proxyActivities } from "@temporalio/workflow";
import type { BulkActivities, PoolActivities } from "../../contract/activities.ts";
import { FAILURES } from "../../contract/failures.ts";
import { summarised } from "../summarised.ts";

const FIRST_WATCH_MS = 5_000;
const SHORTEST_SILENCE_MS = 2_000;
const LONGEST_SILENCE_MS = 20_000;

/** Calls that read and write the pool's row. */
export const poolActivities = summarised<Omit<PoolActivities, "watchPool">>(
  {
    startToCloseTimeout: "30s",
    heartbeatTimeout: "10s",
    retry: { initialInterval: "250ms", maximumInterval: "30s", nonRetryableErrorTypes: [FAILURES.invalidConfig] },
  },
  {
    openPool: "open the pool's row and list its living workers",
    recordSignals: "write operators' signals to the pool's row",
    recordMessage: "write an operator's message to the pool's row",
    journalIgnored: "journal a message that cannot be read",
    reconfigure: "change the pool's own settings",
    orderWorker: "look at the worker that an operator means",
    reserveWorkers: "book new workers within all caps",
  },
);

export const bulkActivities = summarised<BulkActivities>(
  {
    startToCloseTimeout: "5m",
    heartbeatTimeout: "30s",
    retry: { initialInterval: "250ms", maximumInterval: "30s" },
  },
  { startWorkers: "start many workers", signalWorkers: "signal many workers" },
);

/**
 * The watch, for a pool with this time between two full passes. When its process dies, the server gives it to another
 * one after the heartbeat timeout, so that no decision is later than two such times. Each heartbeat that reaches the
 * server costs an action, so the timeout is no shorter than that needs.
 * @param pollSec undefined: not known yet.
 */
export function watchActivity(pollSec: number | undefined): Pick<PoolActivities, "watchPool"> {
  const timeoutMs = pollSec === undefined ? FIRST_WATCH_MS : (pollSec * 1000 * 2) / 3;
  return proxyActivities<Pick<PoolActivities, "watchPool">>({
    startToCloseTimeout: "6m",
    heartbeatTimeout: Math.round(Math.min(LONGEST_SILENCE_MS, Math.max(SHORTEST_SILENCE_MS, timeoutMs))),
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    // With eager dispatch the process that runs the workflow keeps every watch, and a new version beside it gets none.
    allowEagerDispatch: false,
    // A watch fails only when its process ends, and processes that end one after the other must not make it wait longer.
    retry: { initialInterval: "250ms", maximumInterval: "2s" },
    summary: "watch queue and fleet until there is something to do",
  });
}
