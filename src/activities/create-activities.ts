import type { Logger } from "pino";
import { type Config, ownVariable } from "../config/config.ts";
import type { BulkActivities, PodActivities, PoolActivities, WorkerActivities } from "../contract/activities.ts";
import type { PodJobActivities } from "../contract/pod-job.ts";
import type { JanitorActivities, NotificationActivities } from "../contract/upkeep.ts";
import type { RunpodClient } from "../runpod/client.ts";
import type { Database } from "../supabase/client.ts";
import { alertStore } from "../supabase/alert-store.ts";
import { minuteStore } from "../supabase/history/minute-store.ts";
import { jobStore } from "../supabase/jobs/job-store.ts";
import { janitorStore } from "../supabase/janitor-store.ts";
import { logStore } from "../supabase/log-store.ts";
import { outboxStore } from "../supabase/outbox-store.ts";
import { poolStore } from "../supabase/pool-store.ts";
import { placementStore, workerStore } from "../supabase/worker-store.ts";
import { beating, withBeats } from "./beating.ts";
import { createBulkActivities } from "./bulk.ts";
import { withFinalRefusals } from "./final-refusals.ts";
import { createPodJobActivities } from "./jobs/pod-jobs.ts";
import { createOutboxActivities } from "./outbox.ts";
import { marketReader } from "./placement/market.ts";
import { withReadableErrors } from "./readable-errors.ts";
import { sharedPodList } from "./pod-list.ts";
import { createPodActivities } from "./pods.ts";
import { createPoolActivities } from "./pool.ts";
import { createReconciler } from "./reconcile.ts";
import { createPoolUpkeep } from "./bring-back-pools.ts";
import { createRetentionActivities } from "./retention.ts";
import { createWatchActivity } from "./watch.ts";
import { createWorkerActivities } from "./workers.ts";

const NEVER = new AbortController().signal;

export interface ActivityDeps {
  readonly config: Config;
  /** Id that this process read from its database. */
  readonly deployment: string;
  readonly database: Database;
  readonly runpod: RunpodClient;
  readonly logger: Logger;
  /** Aborted when this process is to stop: long polls then end at once, and no pod is asked for any more. Default: never. */
  readonly stopping?: AbortSignal;
  /** Is told how each request for a pod ended. */
  readonly onCreate?: (pool: string, outcome: string) => void;
}

/** All activities, by the task queue that serves them. */
export function createActivities(deps: ActivityDeps): {
  readonly main: PoolActivities &
    BulkActivities &
    WorkerActivities &
    PodJobActivities &
    JanitorActivities &
    NotificationActivities;
  readonly provider: PodActivities;
} {
  const { config, deployment, database, runpod, logger, stopping = NEVER, onCreate } = deps;
  const pools = poolStore(database);
  const workers = workerStore(database);
  const outbox = outboxStore(database);
  const janitor = janitorStore(database);
  const alerts = alertStore(database);
  const listPods = sharedPodList(() => runpod.listPods());
  const placements = placementStore(database);
  const market = marketReader(runpod);
  const reconciler = createReconciler({ config, deployment, listPods, janitor, workers, alerts, logger });
  const minutes = minuteStore(database);
  const forWatch = {
    config,
    deployment,
    pools,
    workers,
    alerts,
    minutes,
    listPods,
    market,
    reconciler,
    logger,
    stopping,
  };
  const seen = { market, placements, listPods, workers };
  const forPods = { ...seen, config, deployment, runpod, logger, ownVariable, stopping, onCreate };
  return {
    main: withReadableErrors({
      ...withBeats(withFinalRefusals(createPoolActivities({ config, deployment, pools, market }))),
      ...withBeats(withFinalRefusals(createPodJobActivities({ config, jobs: jobStore(database) }))),
      ...createBulkActivities({ deployment, workers, logger }),
      ...createWatchActivity(forWatch),
      // Never final: a worker workflow that failed would leave its pod.
      ...withBeats(createWorkerActivities({ workers, alerts, config })),
      reconcileWorkers: (options) => reconciler.pass(options),
      ...createPoolUpkeep({ config, deployment, janitor, pools, alerts, logger }),
      repairTasks: ({ dryRun }) => beating(() => janitor.repairTasks(dryRun)),
      ...createRetentionActivities({ config, logs: logStore(database), outbox, janitor }),
      ...createOutboxActivities({
        outbox,
        logger,
        stopping,
        receivers: { allowsPrivate: config.notifications.allowPrivate },
      }),
    }),
    provider: withReadableErrors(createPodActivities(forPods)),
  };
}
