import { createHash } from "node:crypto";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { environmentSettings, settingsInForce } from "../config/pool-settings.ts";
import type { SettingsView } from "../contract/plan.ts";
import { decide, type Decision } from "../policy/decide.ts";
import type { ObservedSpend } from "../policy/observation.ts";
import type { ListPodsOutcome } from "../runpod/outcomes.ts";
import type { Reading, ReadWorker } from "../supabase/observation.ts";
import type { PoolStore } from "../supabase/pool-store.ts";
import type { PodEvidenceBook } from "./pod-evidence.ts";

/** When this process began: of two Temporal workers with different settings the later one's hold. */
const STARTED_AT_MS = Date.now();
/** While nothing but the clock has moved since the last decision: what the clock brings has deadlines of many seconds. */
const RETHINK_MS = 2_000;

export interface ObserverDeps {
  readonly config: Config;
  readonly pools: PoolStore;
  readonly listPods: () => Promise<ListPodsOutcome>;
  readonly logger: Logger;
}

/** What the provider's lists said so far. Outlives single watches: lists are asked for at their own pace. */
export interface ProviderView {
  readonly book: PodEvidenceBook;
  listAt: number;
}

export type SettingsInForce = ReturnType<typeof settingsInForce>;

export interface Observed {
  readonly decision: Decision;
  readonly settings: SettingsInForce;
  readonly view: SettingsView;
}

/** Another watch decides for this pool now: this one's workflow was ended while it ran, or its server gave it up. */
export class Superseded extends Error {}

/**
 * One watch's eyes: each call reads the database once and decides.
 * @param patient wait for the provider's list, where one is due, before deciding.
 */
export function createObserver(
  deps: ObserverDeps,
  watch: { readonly pool: string; readonly id: string; readonly provider: ProviderView; readonly patient: boolean },
): () => Promise<Observed> {
  const { config, pools, logger } = deps;
  const { pool, provider } = watch;
  let begun = false;
  let fleet: readonly ReadWorker[] = [];
  let fleetHash: string | null = null;
  let fullAt = 0;
  let spend: ObservedSpend | null = null;
  let settings: SettingsInForce = settingsInForce(config, {}, {});
  let ruling: string | null = null;
  let last: { readonly grounds: string; readonly nowMs: number; readonly observed: Observed } | null = null;

  const hasCap = () => settings.maxHourlySpendUsd !== undefined || settings.dailyBudgetUsd !== undefined;

  /** A slow provider must not slow the watch, so nobody waits for this who need not. */
  async function listProvider(): Promise<void> {
    const before = fleet;
    provider.listAt = Date.now() + config.provider.podListSec * 1000;
    try {
      const list = await deps.listPods();
      if (list.kind === "unknown") {
        logger.warn({ pool, detail: list.detail }, "the provider's list is unknown: no evidence from it");
      }
      provider.book.note(before, list);
    } catch (error) {
      logger.warn({ pool, err: error }, "listing pods failed");
    }
  }

  async function read(): Promise<Reading> {
    const full = Date.now() >= fullAt;
    const reading = await pools.observe(pool, {
      knownFleetHash: fleetHash,
      full,
      pollSec: settings.pollSec,
      failureWindowMin: settings.failureWindowMinutes,
      minBoots: settings.minWorkersForRateCheck,
      spend: hasCap(),
    });
    if (reading.watchId !== watch.id) {
      throw new Superseded();
    }
    const rules = JSON.stringify([reading.environment, reading.config]);
    if (rules !== ruling) {
      settings = settingsInForce(config, reading.environment, reading.config);
      ruling = rules;
    }
    // Under a cap that was set just now an older sum is no ground for a decision.
    spend = hasCap() ? reading.spend : (reading.spend ?? spend);
    fleet = reading.fleet ?? fleet;
    fleetHash = reading.fleetHash;
    if (full) {
      fullAt = Date.now() + fullPassSec(settings) * 1000;
      await pools.expireExternal(pool, settings.gpuIdleTimeoutSec, settings.taskStuckTimeoutSec);
    }
    return reading;
  }

  return async () => {
    if (!begun) {
      await pools.beginWatch(pool, watch.id, environmentSettings(config), STARTED_AT_MS);
      begun = true;
    }
    const reading = await read();
    if (fleet.length > 0 && Date.now() >= provider.listAt) {
      const listed = listProvider();
      if (watch.patient) {
        await listed;
      }
    }
    const { nowMs, observingSinceMs, massSilenceSinceMs, intent, queued, breaker } = reading;
    // The fleet by its hash; the day's spend grows all the time.
    const grounds = JSON.stringify({ ...reading, nowMs: null, fleet: null, spend: spend === null });
    if (reading.fleet === null && last?.grounds === grounds && nowMs - last.nowMs < RETHINK_MS) {
      const { decision } = last.observed;
      const snapshot = { ...decision.snapshot, observedAt: new Date(nowMs).toISOString() };
      return { ...last.observed, decision: { ...decision, snapshot } };
    }
    const decision = decide(settings, {
      nowMs,
      observingSinceMs,
      massSilenceSinceMs,
      intent,
      queued,
      breaker,
      spend,
      launchedLastMinute: reading.launchedLastMinute,
      failedRecently: reading.failedRecently,
      fleet: fleet.map((worker) => ({ ...worker, pod: provider.book.of(worker) })),
    });
    const observed = { decision, settings, view: viewOf(settings, reading.config) };
    last = { grounds, nowMs, observed };
    return observed;
  };
}

/** Between two full passes a heartbeat or progress is as old as its copy here: a fraction of what it is judged by. */
function fullPassSec({ pollSec, gpuIdleTimeoutSec, taskStuckTimeoutSec }: SettingsInForce): number {
  return Math.min(pollSec, gpuIdleTimeoutSec / 4, taskStuckTimeoutSec / 4);
}

/** @param own the pool's own part of the settings. */
export function viewOf(settings: SettingsInForce, own: Readonly<Record<string, unknown>>): SettingsView {
  const values = JSON.parse(JSON.stringify(settings)) as Record<string, unknown>;
  const names = Object.keys(own).toSorted();
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([values, names]))
    .digest("hex")
    .slice(0, 16);
  return { fingerprint, values, own: names };
}
