import { createHash, randomUUID } from "node:crypto";
import { Context } from "@temporalio/activity";
import type { PoolActivities } from "../contract/activities.ts";
import type { Look } from "../contract/messages.ts";
import type { Plan, Snapshot } from "../contract/plan.ts";
import type { Decision } from "../policy/decide.ts";
import { createObserver, type Observed, type ObserverDeps, type ProviderView, Superseded } from "./observer.ts";
import { podEvidenceBook } from "./pod-evidence.ts";

/** A watch with nothing to do ends after this long, so that the workflow's history grows by a dozen events an hour. */
const WATCH_MS = 5 * 60_000;
/** Changed counts are shown by the queries and the Web UI after at most this long. */
const REFRESH_MS = 10_000;
const OUTAGE_LOG_MS = 60_000;

/** What this process knows of a pool from one watch to the next. */
interface PoolMemory extends ProviderView {
  isSuspended: boolean;
  warned: ReadonlySet<string>;
  /** Null: nothing was tried yet. */
  look: Look | null;
}

/**
 * The long poll: probes the database until a decision holds an action, or there is news for the status, or five
 * minutes have passed. A failed reading yields no decision.
 */
export function createWatchActivity(deps: ObserverDeps): Pick<PoolActivities, "watchPool"> {
  const { pools, logger } = deps;
  const memories = new Map<string, PoolMemory>();

  return {
    async watchPool(pool, known) {
      const context = Context.current();
      const memory = memories.get(pool) ?? newMemory();
      memories.set(pool, memory);
      // Another process may have watched in between, and have told it.
      memory.isSuspended = known.suspended ?? memory.isSuspended;
      const watchId = randomUUID();
      const patient = known.once === true;
      const observe = createObserver(deps, { pool, id: watchId, provider: memory, patient });
      const endAt = Date.now() + WATCH_MS;
      const refreshAt = Date.now() + REFRESH_MS;
      let shown = known.state;
      let latest: Observed | null = null;
      let outageLoggedAt = 0;
      let intervalMs = deps.config.scaling.watchIntervalMs;

      while (Date.now() < endAt) {
        context.heartbeat(...(memory.look === null ? [] : [memory.look]));
        try {
          latest = await observe();
          const { decision, settings } = latest;
          intervalMs = settings.watchIntervalMs;
          if (decision.massSilence !== null) {
            await pools.markMassSilence(pool, decision.massSilence === "begun");
          }
          await noteChanges(pool, memory, decision);
          const id = await recorded(pool, watchId, latest);
          memory.look = { observedAt: decision.snapshot.observedAt };
          if (decision.actions.length > 0) {
            return planOf(id, latest, known.settings);
          }
          const state = fingerprintOf(latest);
          shown ??= state;
          const isNews = state !== shown && Date.now() >= refreshAt;
          if (!known.shown || patient || isClosed(decision.snapshot) || isNews) {
            break;
          }
        } catch (error) {
          if (error instanceof Superseded) {
            break;
          }
          memory.look ??= { observedAt: null };
          if (Date.now() - outageLoggedAt > OUTAGE_LOG_MS) {
            outageLoggedAt = Date.now();
            logger.warn({ pool, err: error }, "observation failed: no decision until the next good one");
          }
        }
        await context.sleep(intervalMs);
      }
      // Actions that could not be journaled are none; the next watch decides anew.
      return latest === null
        ? { decisionId: randomUUID(), actions: [], snapshot: null }
        : { ...planOf(randomUUID(), latest, known.settings), actions: [] };
    },
  };

  /** Journals the decision before it is handed over: what cannot be written down is not done. */
  async function recorded(pool: string, watchId: string, { decision, settings }: Observed): Promise<string> {
    const id = randomUUID();
    const { actions, snapshot, breaker } = decision;
    if (actions.length > 0 || breaker !== null) {
      await pools.recordDecision(pool, {
        id,
        watchId,
        reason: snapshot.reason,
        details: { inputs: { ...snapshot, settings }, actions },
        signals: actions.flatMap((a) => (a.kind === "signal" ? [{ worker: a.worker, signal: a.signal.name }] : [])),
        ...(breaker === null ? {} : { breaker }),
      });
    }
    return id;
  }

  /** What is worth a line of the journal once, not with each probe. */
  async function noteChanges(pool: string, memory: PoolMemory, decision: Decision): Promise<void> {
    const { suspended } = decision.snapshot;
    if ((suspended !== null) !== memory.isSuspended) {
      const ended = "health verdicts on heartbeats are given again";
      await pools.journal(pool, suspended === null ? "health.resumed" : "alert.health_suspended", suspended ?? ended);
    }
    memory.isSuspended = suspended !== null;
    for (const { worker, kind, reason } of decision.warnings) {
      if (!memory.warned.has(worker)) {
        await pools.journal(pool, kind, `${worker}: ${reason}`, { worker });
      }
    }
    memory.warned = new Set(decision.warnings.map(({ worker }) => worker));
  }
}

function newMemory(): PoolMemory {
  return { book: podEvidenceBook(), listAt: 0, isSuspended: false, warned: new Set(), look: null };
}

function planOf(decisionId: string, observed: Observed, knownSettings: string | null): Plan {
  const { decision, view } = observed;
  const { actions, snapshot } = decision;
  return {
    decisionId,
    actions,
    snapshot,
    state: fingerprintOf(observed),
    ...(view.fingerprint === knownSettings ? {} : { settings: view }),
  };
}

/** The day's spend grows with every probe: it is no news. */
function fingerprintOf({ decision, view }: Observed): string {
  const state = { ...decision.snapshot, observedAt: null, spend: null, settings: view.fingerprint };
  return createHash("sha256").update(JSON.stringify(state)).digest("hex").slice(0, 16);
}

function isClosed(snapshot: Snapshot): boolean {
  const { spawning, idle, busy, terminating, failing } = snapshot;
  return snapshot.intent.mode === "closing" && spawning + idle + busy + terminating + failing === 0;
}
