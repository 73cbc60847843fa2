import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { Context } from "@temporalio/activity";
import { ApplicationFailure, ApplicationFailureCategory } from "@temporalio/common";
import type { Look, PoolActivities } from "../contract/activities.ts";
import type { Plan, Snapshot } from "../contract/plan.ts";
import type { Decision } from "../policy/decide.ts";
import { settingsAt } from "../policy/schedule.ts";
import type { AlertStore } from "../supabase/alert-store.ts";
import type { MinuteStore } from "../supabase/history/minute-store.ts";
import type { PoolStore } from "../supabase/pool-store.ts";
import { beating } from "./beating.ts";
import {
  createObserver,
  type Observed,
  type LastSizing,
  type ObserverDeps,
  type ProviderView,
  Superseded,
} from "./observer.ts";
import { type AlertMemory, settleAlerts } from "./observed-alerts.ts";
import { noteOnTrace } from "./on-trace.ts";
import { podEvidenceBook } from "./pod-evidence.ts";

/** A watch without an action returns after this long: the workflow's history then grows by a dozen events an hour. */
const WATCH_MS = 5 * 60_000;
/** Queries and the Web UI show changed counts after at most this long. */
const REFRESH_MS = 10_000;
const OUTAGE_LOG_MS = 60_000;
const MINUTE_MS = 60_000;
const HANDED_OVER_IN = "100ms";

export interface WatchDeps extends ObserverDeps {
  readonly alerts: AlertStore;
  /** Left out: no minute is recorded. */
  readonly minutes?: Pick<MinuteStore, "record">;
  /** Aborted when this process is to stop: the watch then ends at once, and another process goes on with it. */
  readonly stopping?: AbortSignal;
}

/** The state of a pool that this process keeps from one watch to the next. */
interface PoolMemory extends ProviderView, LastSizing, AlertMemory {
  warned: ReadonlySet<string>;
  /** Null: the pool was not looked at yet. */
  look: Look | null;
  /** Since when every look failed; null: the last one succeeded. */
  failingSinceMs: number | null;
  /** The alert pool_undecided may be open: this process opened it, or another one did before. */
  isToldUndecided: boolean;
  /** The minute that was asked to be recorded last, in minutes since the epoch. */
  minute: number;
}

interface Watch {
  readonly pool: string;
  readonly id: string;
  readonly known: Parameters<PoolActivities["watchPool"]>[1];
  readonly memory: PoolMemory;
  readonly observe: () => Promise<Observed>;
  readonly refreshAt: number;
  /** Fingerprint to compare with: that of the workflow's snapshot, or of the first look if it has none. */
  shown: string | undefined;
  latest: Observed | null;
  /** The size that the database has from this watch. */
  notedSize: string | null;
}

/**
 * The long poll: looks at the database until a decision holds an action, the status has changed, or five minutes have
 * passed. A failed look yields no decision.
 */
export function createWatchActivity(deps: WatchDeps): Pick<PoolActivities, "watchPool"> {
  const memories = new Map<string, PoolMemory>();
  return {
    async watchPool(pool, known) {
      const memory = memories.get(pool) ?? newMemory(deps.deployment);
      memories.set(pool, memory);
      const id = randomUUID();
      const logger = deps.logger.child({ pool, cycle: known.cycle });
      const watchDeps = { ...deps, logger };
      const observe = createObserver(watchDeps, {
        pool,
        id,
        provider: memory,
        before: memory,
        patient: known.once === true,
      });
      const refreshAt = Date.now() + REFRESH_MS;
      const watch = { pool, id, known, memory, observe, refreshAt, shown: known.state, latest: null, notedSize: null };
      const over = new AbortController();
      const stopped = untilAborted(deps.stopping, over.signal);
      const details = () => (memory.look === null ? [] : [memory.look]);
      try {
        return await beating(() => watchUntilNews(watchDeps, watch, stopped), details);
      } finally {
        over.abort();
      }
    },
  };
}

/** @param over when nobody waits any more. */
async function untilAborted(signal: AbortSignal | undefined, over: AbortSignal): Promise<void> {
  const aborted = signal === undefined ? new Promise<never>(() => undefined) : once(signal, "abort", { signal: over });
  await aborted.catch(() => undefined);
}

async function watchUntilNews(deps: WatchDeps, watch: Watch, stopped: Promise<void>): Promise<Plan> {
  const { config, logger, stopping } = deps;
  const context = Context.current();
  const { memory } = watch;
  const endAt = Date.now() + WATCH_MS;
  let outageLoggedAt = 0;
  while (Date.now() < endAt && stopping?.aborted !== true) {
    context.heartbeat(...(memory.look === null ? [] : [memory.look]));
    try {
      const plan = await look(deps, watch);
      await tellDecided(deps, watch);
      if (plan !== null) {
        return plan;
      }
    } catch (error) {
      if (error instanceof Superseded) {
        break;
      }
      memory.look ??= { observedAt: null };
      await tellUndecided(deps, watch, error);
      if (Date.now() - outageLoggedAt > OUTAGE_LOG_MS) {
        outageLoggedAt = Date.now();
        logger.warn({ err: error }, "observation failed: no decision until the next good one");
      }
    }
    const pause = context.sleep(watch.latest?.settings.watchIntervalMs ?? config.scaling.watchIntervalMs);
    await Promise.race([pause, stopped]);
  }
  if (stopping?.aborted === true) {
    // Not a plan: the workflow would wait for this process to take its next task.
    throw ApplicationFailure.create({
      message: "this Temporal worker stops, and another one goes on with the watch",
      category: ApplicationFailureCategory.BENIGN,
      nextRetryDelay: HANDED_OVER_IN,
    });
  }
  return planWithoutActions(watch);
}

/**
 * Opens an alert, which `gpu-pool status` shows, where looks have failed for half of ORCHESTRATOR_POLL_SEC. A database that cannot
 * be reached is told of by every command.
 */
async function tellUndecided({ config, alerts, logger }: WatchDeps, watch: Watch, error: unknown): Promise<void> {
  const { memory, pool } = watch;
  memory.failingSinceMs ??= Date.now();
  const pollMs = (watch.latest?.settings.pollSec ?? config.scaling.pollSec) * 1000;
  if (Date.now() - memory.failingSinceMs < pollMs / 2) {
    return;
  }
  try {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `nothing is decided, because the pool cannot be observed: ${reason}`;
    await alerts.open({ kind: "pool_undecided", subject: pool, message }, pool);
    memory.isToldUndecided = true;
  } catch (failure) {
    logger.debug({ err: failure }, "the alert pool_undecided could not be opened; the next failed look tries again");
  }
}

async function tellDecided({ alerts, logger }: WatchDeps, { memory, pool }: Watch): Promise<void> {
  memory.failingSinceMs = null;
  if (!memory.isToldUndecided) {
    return;
  }
  try {
    await alerts.close("pool_undecided", pool);
    memory.isToldUndecided = false;
  } catch (error) {
    logger.debug({ err: error }, "the alert pool_undecided could not be closed; the next look tries again");
  }
}

/** One look at the pool. Null: there is no action and no news, so the watch goes on. */
async function look(deps: WatchDeps, watch: Watch): Promise<Plan | null> {
  const { pools } = deps;
  const { pool, memory, known } = watch;
  const latest = await watch.observe();
  watch.latest = latest;
  const { decision } = latest;
  if (decision.massSilence !== null) {
    await pools.markMassSilence(pool, decision.massSilence === "begun");
  }
  for (const { worker, verdict } of decision.externalVerdicts) {
    await pools.endExternal(worker, verdict);
  }
  await noteWarnings(pools, watch, decision);
  const conditions = decision.conditions.map((condition) => ({ subject: pool, ...condition }));
  await settleAlerts(deps, pool, memory, conditions, latest.openAlerts);
  await noteSize(deps, watch, latest);
  // Not waited for: counting a long queue must not delay a decision.
  void noteMinute(deps, watch);
  const decisionId = await recorded(deps, watch, latest);
  memory.look = { observedAt: decision.snapshot.observedAt };
  if (decision.actions.length > 0) {
    return planOf(decisionId, latest, known.settings);
  }
  const state = fingerprintOf(latest);
  watch.shown ??= state;
  const isNews = state !== watch.shown && Date.now() >= watch.refreshAt;
  // Otherwise a person would see for seconds the opposite of what was just ordered.
  const isNewIntent = decision.snapshot.intent.version !== (known.intentVersion ?? decision.snapshot.intent.version);
  const mustReturn = !known.shown || known.once === true || isNewIntent || isClosed(decision.snapshot) || isNews;
  return mustReturn ? planWithoutActions(watch) : null;
}

/** Journals the decision before the workflow gets it: a decision that cannot be journaled is not carried out. */
async function recorded(
  { pools, logger }: Pick<ObserverDeps, "pools" | "logger">,
  { pool, id: watchId }: Watch,
  { decision, settings }: Observed,
): Promise<string> {
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
    noteOnTrace({ pool, decision: id });
    logger.info({ decision: id, actions: actions.length, desired: snapshot.desired }, `decided: ${snapshot.reason}`);
  }
  return id;
}

/** Tells the metrics. A failure never holds up a decision. */
async function noteSize({ pools, logger }: WatchDeps, watch: Watch, { decision, settings }: Observed): Promise<void> {
  const { desired, observedAt } = decision.snapshot;
  const { minActiveGpus: min, maxActiveGpus: max } = settingsAt(settings, Date.parse(observedAt)).settings;
  const size = { desired, min, max };
  if (JSON.stringify(size) === watch.notedSize) {
    return;
  }
  try {
    await pools.noteSize(watch.pool, watch.id, size);
    watch.notedSize = JSON.stringify(size);
  } catch (error) {
    logger.warn({ err: error }, "the wanted size was not recorded for the metrics; the next look tries again");
  }
}

/** Keeps the last minute for people to look at. A failure never holds up a decision. */
async function noteMinute({ minutes, logger }: WatchDeps, { pool, memory }: Watch): Promise<void> {
  // The database records a minute ten seconds after its end at the earliest.
  const minute = Math.floor((Date.now() - MINUTE_MS / 4) / MINUTE_MS);
  if (minutes === undefined || minute === memory.minute) {
    return;
  }
  memory.minute = minute;
  try {
    await minutes.record(pool);
  } catch (error) {
    logger.warn({ err: error }, "the last minute was not recorded for the dashboard");
  }
}

/** Journals each new warning once, and not with every look. */
async function noteWarnings(pools: PoolStore, { pool, memory }: Watch, decision: Decision): Promise<void> {
  for (const { worker, kind, reason } of decision.warnings) {
    if (!memory.warned.has(worker)) {
      await pools.journal(pool, kind, `${worker}: ${reason}`, { worker });
    }
  }
  memory.warned = new Set(decision.warnings.map(({ worker }) => worker));
}

function newMemory(deployment: string): PoolMemory {
  return {
    book: podEvidenceBook(deployment),
    listAt: 0,
    completeListMs: null,
    sizing: null,
    open: null,
    over: new Set(),
    warned: new Set(),
    look: null,
    failingSinceMs: null,
    isToldUndecided: true,
    minute: 0,
  };
}

function planOf(decisionId: string, observed: Observed, knownSettings: string | null): Plan {
  const { decision, view } = observed;
  const { actions, snapshot } = decision;
  const run = Context.current().info.workflowExecution?.runId;
  return {
    decisionId,
    ...(run === undefined ? {} : { run }),
    actions,
    snapshot,
    state: fingerprintOf(observed),
    ...(view.fingerprint === knownSettings ? {} : { settings: view }),
  };
}

/**
 * What changes with every look does not end the watch: the day's spend, and the figures in a reason. Those that a person
 * acts on are in the snapshot besides.
 */
function fingerprintOf({ decision, view }: Observed): string {
  const reason = decision.snapshot.reason.replaceAll(/\d+(\.\d+)?/g, "0");
  const state = { ...decision.snapshot, observedAt: null, spend: null, reason, settings: view.fingerprint };
  return createHash("sha256").update(JSON.stringify(state)).digest("hex").slice(0, 16);
}

/** The actions of the latest look were not journaled, so they are left out; the next watch decides again. */
function planWithoutActions({ latest, known }: Watch): Plan {
  return latest === null
    ? { decisionId: randomUUID(), actions: [], snapshot: null }
    : { ...planOf(randomUUID(), latest, known.settings), actions: [] };
}

function isClosed(snapshot: Snapshot): boolean {
  const { spawning, idle, busy, terminating, failing } = snapshot;
  return snapshot.intent.mode === "closing" && spawning + idle + busy + terminating + failing === 0;
}
