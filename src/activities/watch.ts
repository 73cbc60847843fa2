import { randomUUID } from "node:crypto";
import { Context } from "@temporalio/activity";
import type { Logger } from "pino";
import { type Config, parseScalingOverrides } from "../config.ts";
import type { PoolActivities } from "../contract/activities.ts";
import type { Plan, Snapshot } from "../contract/plan.ts";
import { decide, type Decision } from "../policy/decide.ts";
import type { PolicySettings } from "../policy/settings.ts";
import type { ListPodsOutcome } from "../runpod/outcomes.ts";
import type { PoolStore, ReadWorker } from "../supabase/pool-store.ts";
import { podEvidenceBook, type PodEvidenceBook } from "./pod-evidence.ts";

/** A watch with nothing to do ends after this long, so that the workflow's history grows by a dozen events an hour. */
const WATCH_MS = 5 * 60_000;
/** Changed counts are shown by the queries and the Web UI after at most this long. */
const REFRESH_MS = 10_000;
const OUTAGE_LOG_MS = 60_000;

export interface WatchDeps {
  readonly config: Config;
  readonly pools: PoolStore;
  readonly listPods: () => Promise<ListPodsOutcome>;
  readonly logger: Logger;
}

/**
 * The long poll: probes the database until a decision holds an action, or there is news for the status, or five
 * minutes have passed. A failed reading yields no decision.
 */
export function createWatchActivity(deps: WatchDeps): Pick<PoolActivities, "watchPool"> {
  const provider = new Map<string, ProviderView>();

  return {
    async watchPool(pool, isShown) {
      const context = Context.current();
      const view = provider.get(pool) ?? { book: podEvidenceBook(), listAt: 0 };
      provider.set(pool, view);
      const watchId = randomUUID();
      const observe = observer(deps, pool, watchId, view);
      const endAt = Date.now() + WATCH_MS;
      const refreshAt = Date.now() + REFRESH_MS;
      let shown: string | null = null;
      let latest: Snapshot | null = null;
      let outageLoggedAt = 0;
      let intervalMs = deps.config.scaling.watchIntervalMs;

      while (Date.now() < endAt) {
        context.heartbeat();
        try {
          const { decision, inputs } = await observe();
          latest = decision.snapshot;
          intervalMs = inputs.watchIntervalMs;
          if (decision.actions.length > 0) {
            return await recorded(deps.pools, pool, watchId, decision, inputs);
          }
          const counts = JSON.stringify({ ...latest, observedAt: null });
          shown ??= counts;
          if (!isShown || isClosed(latest) || (counts !== shown && Date.now() >= refreshAt)) {
            break;
          }
        } catch (error) {
          if (error instanceof Superseded) {
            break;
          }
          if (Date.now() - outageLoggedAt > OUTAGE_LOG_MS) {
            outageLoggedAt = Date.now();
            deps.logger.warn({ pool, err: error }, "observation failed: no decision until the next good one");
          }
        }
        await context.sleep(intervalMs);
      }
      return { decisionId: randomUUID(), actions: [], snapshot: latest };
    },
  };
}

function isClosed(snapshot: Snapshot): boolean {
  const { spawning, idle, busy, terminating, failing } = snapshot;
  return snapshot.intent.mode === "closing" && spawning + idle + busy + terminating + failing === 0;
}

/** Journals the decision before it is handed over: what cannot be written down is not done. */
async function recorded(
  pools: PoolStore,
  pool: string,
  watchId: string,
  decision: Decision,
  settings: PolicySettings,
): Promise<Plan> {
  const id = randomUUID();
  const { actions, snapshot } = decision;
  await pools.recordDecision(pool, {
    id,
    watchId,
    reason: snapshot.reason,
    details: { inputs: { ...snapshot, settings }, actions },
    signals: actions.flatMap((a) => (a.kind === "signal" ? [{ worker: a.worker, signal: a.signal.name }] : [])),
  });
  return { decisionId: id, actions, snapshot };
}

/** Another watch decides for this pool now: this one's workflow was ended while it ran, or its server gave it up. */
class Superseded extends Error {}

/** The pool's own settings, laid over those of this process. */
type WatchSettings = Config["scaling"] & Config["timeouts"];

/** Outlives single watches: lists are asked for at their own pace. */
interface ProviderView {
  readonly book: PodEvidenceBook;
  listAt: number;
}

function observer({ config, pools, listPods, logger }: WatchDeps, pool: string, watchId: string, view: ProviderView) {
  let begun = false;
  let fleet: readonly ReadWorker[] = [];
  let fleetHash: string | null = null;
  let fullAt = 0;
  let { pollSec } = config.scaling;

  /** Beside the probes: a slow provider must not slow the watch. */
  function listProvider(): void {
    const before = fleet;
    view.listAt = Date.now() + config.provider.podListSec * 1000;
    void listPods().then(
      (list) => {
        if (list.kind === "unknown") {
          logger.warn({ pool, detail: list.detail }, "the provider's list is unknown: no evidence from it");
        }
        view.book.note(before, list);
      },
      (error: unknown) => logger.warn({ pool, err: error }, "listing pods failed"),
    );
  }

  return async (): Promise<{ decision: Decision; inputs: WatchSettings }> => {
    if (!begun) {
      await pools.beginWatch(pool, watchId);
      begun = true;
    }
    const full = Date.now() >= fullAt;
    const reading = await pools.observe(pool, fleetHash, full, pollSec);
    if (reading.watchId !== watchId) {
      throw new Superseded();
    }
    const inputs = { ...config.scaling, ...config.timeouts, ...parseScalingOverrides(reading.config) };
    pollSec = inputs.pollSec;
    if (full) {
      fullAt = Date.now() + pollSec * 1000;
    }
    fleet = reading.fleet ?? fleet;
    fleetHash = reading.fleetHash;
    if (fleet.length > 0 && Date.now() >= view.listAt) {
      listProvider();
    }
    if (full && fleet.some(({ origin }) => origin === "external")) {
      await pools.expireExternal(pool, inputs.gpuIdleTimeoutSec, inputs.taskStuckTimeoutSec);
    }
    const { nowMs, observingSinceMs, intent, queued } = reading;
    const observation = {
      nowMs,
      observingSinceMs,
      intent,
      queued,
      fleet: fleet.map((worker) => ({ ...worker, pod: view.book.of(worker) })),
    };
    return { decision: decide(inputs, observation), inputs };
  };
}
