import { createHash } from "node:crypto";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { environmentSettings, settingsInForce } from "../config/settings-in-force.ts";
import type { SettingsView } from "../contract/plan.ts";
import type { PoolSettings } from "../contract/pool-settings.ts";
import { atPrice } from "../policy/budget.ts";
import { decide, type Decision } from "../policy/decide.ts";
import { bootSecOf } from "../policy/latency/latency.ts";
import { learnsUnder, waitTargetOf } from "../policy/latency/wait-value.ts";
import { taskTypesOf } from "../policy/launch/task-types.ts";
import type { FailedRun, ObservedSpend, UndoneType } from "../policy/observation.ts";
import type { ListPodsOutcome } from "../runpod/outcomes.ts";
import { type Figures, type MeasureRequest, WATCH_MEASURES_SEC } from "../supabase/measured/figures.ts";
import type { Reading, ReadWorker, ReadWorkerInBoot } from "../supabase/observation.ts";
import type { PoolStore } from "../supabase/pool-store.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { expectedPod, type MarketReader } from "./placement/market.ts";
import { ownerOf } from "./pod-request.ts";
import { recordBootStages } from "./boot/boot-stages.ts";
import type { Reconciler } from "./reconcile.ts";
import type { PodEvidenceBook } from "./pod-evidence.ts";

/** When this process began. The settings of the Temporal worker that began last are in force. */
const STARTED_AT_MS = Date.now();
/** Without new data a decision is reused for this long. Deadlines are many seconds long, so no deadline is missed. */
const REUSE_MS = 2_000;

export interface ObserverDeps {
  readonly config: Config;
  readonly deployment: string;
  readonly pools: PoolStore;
  readonly listPods: () => Promise<ListPodsOutcome>;
  readonly market: Pick<MarketReader, "catalog">;
  readonly workers: Pick<WorkerStore, "recordBootStage">;
  /** Left out: pods without a living row wait for the janitor. */
  readonly reconciler?: Pick<Reconciler, "note">;
  readonly logger: Logger;
}

/** The provider's lists so far. They are kept between watches, because lists are read at their own pace. */
export interface ProviderView {
  readonly book: PodEvidenceBook;
  listAt: number;
  /** When the last complete list was asked for. */
  completeListMs: number | null;
}

/** The last decision. It is kept between watches, because each watch begins by learning from tasks that started before it. */
export interface LastSizing {
  /** Null: this process has decided nothing for the pool yet. */
  sizing: { readonly learns: boolean; readonly bootSec: number } | null;
}

export interface Observed {
  readonly decision: Decision;
  readonly settings: PoolSettings;
  readonly view: SettingsView;
  /** The pool's open alerts; null: it was no full pass. */
  readonly openAlerts: Reading["alerts"];
}

/** Another watch decides for this pool now: this one's workflow has ended, or the Temporal server gave this one up. */
export class Superseded extends Error {}

export interface ObservingWatch {
  readonly pool: string;
  readonly id: string;
  readonly provider: ProviderView;
  readonly before: LastSizing;
  /** Decide only after the provider's list has been read, if one is due. */
  readonly patient: boolean;
}

interface ObserverState {
  begun: boolean;
  fleet: readonly ReadWorkerInBoot[];
  /** As the last full pass found them. */
  failedRuns: { readonly atMs: number; readonly of: Readonly<Record<string, FailedRun>> };
  fleetHash: string | null;
  /** Null: not known, or not asked for. */
  measured: Figures | null;
  /** The fleet has the kinds of its tasks. */
  hasKinds: boolean;
  /** The task types that the last reading counted for the profile's workers. */
  askedTypes: readonly string[] | null;
  /** As the last full pass found them. */
  undone: readonly UndoneType[];
  fullAt: number;
  spend: ObservedSpend | null;
  waitingSinceMs: number | null;
  settings: PoolSettings;
  /** The stored settings that `settings` was made from. */
  settingsFrom: string | null;
  last: { readonly grounds: string; readonly nowMs: number; readonly observed: Observed } | null;
}

/** Each call of the result reads the database once and decides. */
export function createObserver(deps: ObserverDeps, watch: ObservingWatch): () => Promise<Observed> {
  const state: ObserverState = {
    begun: false,
    fleet: [],
    failedRuns: { atMs: 0, of: {} },
    fleetHash: null,
    measured: null,
    hasKinds: false,
    askedTypes: null,
    undone: [],
    fullAt: 0,
    spend: null,
    waitingSinceMs: null,
    settings: settingsInForce(deps.config, {}, {}),
    settingsFrom: null,
    last: null,
  };
  return () => observe(deps, watch, state);
}

async function observe(deps: ObserverDeps, watch: ObservingWatch, state: ObserverState): Promise<Observed> {
  if (!state.begun) {
    await deps.pools.beginWatch(watch.pool, watch.id, environmentSettings(deps.config), STARTED_AT_MS);
    state.begun = true;
  }
  const reading = await read(deps, watch, state);
  if (state.fleet.length > 0 && Date.now() >= watch.provider.listAt) {
    // A slow provider must not slow the watch, so the watch waits for the list only if the caller asked for it.
    const listed = listProvider(deps, watch, state.fleet);
    if (watch.patient) {
      await listed;
    }
  }
  return decideOn(reading, watch, state);
}

async function read(deps: ObserverDeps, watch: ObservingWatch, state: ObserverState): Promise<Reading> {
  const { pools, market, logger } = deps;
  const full = Date.now() >= state.fullAt;
  let reading = await ask(deps, watch, state, full);
  // The settings came with this reading. Deciding without figures, as if nothing had ever been measured, would be wrong, and so
  // would be a count of what another profile can do.
  const isOfOtherTypes = String(taskTypesOf(state.settings)) !== String(state.askedTypes);
  if ((isMeasured(state.settings) && !state.hasKinds) || isOfOtherTypes) {
    reading = await ask(deps, watch, state, full);
  }
  // When a cap has just been set, an older sum must not be used for a decision.
  state.spend = hasCap(state.settings) ? reading.spend : (reading.spend ?? state.spend);
  if (state.spend !== null && hasCap(state.settings)) {
    // Not waited for: the watch must not be as slow as the provider.
    const catalog = await market.catalog(state.settings, 0);
    state.spend = atPrice(state.spend, expectedPod(state.settings, catalog).usdPerHour);
  }
  if (full) {
    state.waitingSinceMs = reading.waitingSinceMs;
    state.undone = reading.undone ?? [];
    const { gpuIdleTimeoutSec, taskStuckTimeoutSec } = state.settings;
    state.fullAt = Date.now() + fullPassSec(state.settings) * 1000;
    try {
      await pools.expireExternal(watch.pool, gpuIdleTimeoutSec, taskStuckTimeoutSec);
    } catch (error) {
      // The next full pass tries it again. It holds up no decision.
      logger.warn({ err: error }, "a full pass left out its upkeep; the pool is decided on nevertheless");
    }
  }
  return reading;
}

/** Reads once, and takes over the settings and the fleet. */
async function ask(
  { config, pools }: ObserverDeps,
  watch: ObservingWatch,
  state: ObserverState,
  full: boolean,
): Promise<Reading> {
  const measure = measureRequest(state, watch.before);
  const taskTypes = taskTypesOf(state.settings);
  const knowsFleet = state.hasKinds === (measure !== undefined);
  const reading = await pools.observe(watch.pool, {
    knownFleetHash: knowsFleet ? state.fleetHash : null,
    full,
    pollSec: state.settings.pollSec,
    failureWindowMin: state.settings.failureWindowMinutes,
    minBoots: state.settings.minWorkersForRateCheck,
    sick: state.settings,
    taskTypes,
    spend: hasCap(state.settings),
    measure,
  });
  if (reading.watchId !== watch.id) {
    throw new Superseded();
  }
  const settingsFrom = JSON.stringify([reading.environment, reading.config]);
  if (settingsFrom !== state.settingsFrom) {
    state.settings = settingsInForce(config, reading.environment, reading.config);
    state.settingsFrom = settingsFrom;
  }
  state.fleet = reading.fleet ?? state.fleet;
  state.failedRuns = reading.failedRuns ? { atMs: reading.nowMs, of: reading.failedRuns } : state.failedRuns;
  state.fleetHash = reading.fleetHash;
  state.askedTypes = taskTypes;
  state.hasKinds = measure !== undefined;
  state.measured = measure === undefined ? null : (reading.measured ?? state.measured);
  return reading;
}

function measureRequest({ settings, measured }: ObserverState, { sizing }: LastSizing): MeasureRequest | undefined {
  if (!isMeasured(settings)) {
    return undefined;
  }
  return {
    everySec: WATCH_MEASURES_SEC,
    knownMs: measured?.measuredMs ?? null,
    target: waitTargetOf(settings, sizing?.bootSec ?? bootSecOf({}), sizing?.learns ?? false),
  };
}

/** Other policies need no figures, so nothing is spent on them. */
function isMeasured({ policy }: PoolSettings): boolean {
  return policy === "latency";
}

function hasCap({ maxHourlySpendUsd, dailyBudgetUsd }: PoolSettings): boolean {
  return maxHourlySpendUsd !== undefined || dailyBudgetUsd !== undefined;
}

async function listProvider(
  { config, deployment, listPods, workers, reconciler, logger }: ObserverDeps,
  { pool, provider }: ObservingWatch,
  fleet: readonly ReadWorkerInBoot[],
): Promise<void> {
  provider.listAt = Date.now() + config.provider.podListSec * 1000;
  const askedMs = Date.now();
  try {
    const list = await listPods();
    provider.book.note(fleet, list);
    if (list.kind === "unknown") {
      logger.warn({ detail: list.detail }, "the provider's list is unknown: no evidence from it");
      return;
    }
    const notForeign = list.pods.filter((pod) => ownerOf(pod, deployment) !== "another");
    await recordBootStages(workers, fleet, notForeign, provider.completeListMs);
    provider.completeListMs = askedMs;
    await reconciler?.note(pool, fleet, list).catch((error: unknown) => {
      logger.warn({ err: error }, "pods without a living row could not be looked at; the janitor will");
    });
  } catch (error) {
    logger.warn({ err: error }, "the provider's pods cannot be listed, or what the list shows cannot be recorded");
  }
}

function decideOn(reading: Reading, { provider, before }: ObservingWatch, state: ObserverState): Observed {
  const { fleet, settings, spend, waitingSinceMs, undone, measured, last } = state;
  const { nowMs, observingSinceMs, massSilenceSinceMs, intent, queued, breaker } = reading;
  // A changed fleet shows in its hash. The spend grows with every reading, so only whether it is known counts.
  const same = {
    nowMs: null,
    fleet: null,
    failedRuns: null,
    spend: spend?.priceUsd,
    alerts: null,
    waitingSinceMs,
    undone,
  };
  const grounds = JSON.stringify({ ...reading, ...same, measured: measured?.measuredMs });
  if (reading.fleet === null && last?.grounds === grounds && nowMs - last.nowMs < REUSE_MS) {
    const { decision } = last.observed;
    const snapshot = { ...decision.snapshot, observedAt: new Date(nowMs).toISOString() };
    return { ...last.observed, decision: { ...decision, snapshot }, openAlerts: null };
  }
  const decision = decide(settings, {
    nowMs,
    observingSinceMs,
    massSilenceSinceMs,
    intent,
    queued,
    waitingSinceMs,
    undone,
    unfit: reading.unfit ?? [],
    breaker,
    noFunds: reading.noFunds,
    noPlace: reading.noPlace,
    spend,
    launchedLastMinute: reading.launchedLastMinute,
    failedRecently: reading.failedRecently,
    ...(measured && { measured }),
    fleet: fleet.map((worker) => ({
      ...worker,
      failedRun: failedRunOf(worker, state),
      pod: provider.book.of(worker),
    })),
  });
  const observed = { decision, settings, view: viewOf(settings, reading.config), openAlerts: reading.alerts };
  state.last = { grounds, nowMs, observed };
  const bootSec = bootSecOf({ ...(measured && { measured }) });
  before.sizing = { learns: learnsUnder(decision.snapshot.rule), bootSec };
  return observed;
}

/** A worker that was ordered since the last full pass has refused a verdict, or will: its run may be over. */
function failedRunOf({ id, signalMs }: ReadWorker, { failedRuns }: ObserverState): FailedRun | null {
  return (signalMs ?? 0) > failedRuns.atMs ? null : (failedRuns.of[id] ?? null);
}

/**
 * Heartbeat and progress times are copied only in a full pass, so in between they are as old as the last pass. A quarter
 * of the shorter timeout keeps that error small.
 */
function fullPassSec({ pollSec, gpuIdleTimeoutSec, taskStuckTimeoutSec }: PoolSettings): number {
  return Math.min(pollSec, gpuIdleTimeoutSec / 4, taskStuckTimeoutSec / 4);
}

/** @param own the settings that are stored with the pool. */
export function viewOf(settings: PoolSettings, own: Readonly<Record<string, unknown>>): SettingsView {
  const values = JSON.parse(JSON.stringify(settings)) as PoolSettings;
  const names = Object.keys(own).toSorted();
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([values, names]))
    .digest("hex")
    .slice(0, 16);
  return { fingerprint, values, own: names };
}
