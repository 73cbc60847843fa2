import { ActivityCancellationType, proxyActivities } from "@temporalio/workflow";
import type { BulkActivities, PoolActivities } from "../../contract/activities.ts";
import { FAILURES } from "../../contract/failures.ts";
import { summarised } from "../summarised.ts";

/** Calls that read and write the pool's row. */
export const poolActivities = summarised<Omit<PoolActivities, "watchPool">>(
  {
    startToCloseTimeout: "30s",
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

export const { watchPool } = proxyActivities<Pick<PoolActivities, "watchPool">>({
  startToCloseTimeout: "6m",
  heartbeatTimeout: "30s",
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  // With eager dispatch the process that runs the workflow keeps every watch, and a new version beside it gets none.
  allowEagerDispatch: false,
  retry: { initialInterval: "250ms", maximumInterval: "30s" },
  summary: "watch queue and fleet until there is something to do",
});
