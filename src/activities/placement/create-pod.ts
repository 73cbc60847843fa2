import type { Logger } from "pino";
import { type Config, ConfigError } from "../../config/config.ts";
import { settingsInForce } from "../../config/settings-in-force.ts";
import { expandEnvironment } from "../../config/worker-environment.ts";
import type { CreatedPod, CreatePodResult } from "../../contract/activities.ts";
import { longestBootSec } from "../../contract/boot-stages.ts";
import type { WorkerTimings } from "../../contract/inputs.ts";
import type { PoolSettings } from "../../contract/pool-settings.ts";
import {
  type BindingVolume,
  type Candidate,
  placementOf,
  retryAtMs,
  whyNone,
  whyThisOne,
} from "../../policy/placement.ts";
import type { RunpodClient } from "../../runpod/client.ts";
import type { CreatePodOutcome, RefusalReason } from "../../runpod/outcomes.ts";
import { plausiblePrice } from "../../runpod/plausible.ts";
import type { Pod } from "../../runpod/types.ts";
import type { PlacementStore, WorkerStore } from "../../supabase/worker-store.ts";
import { settingsOfPod } from "../jobs/job-pod.ts";
import type { MarketReader } from "./market.ts";
import { noteOnTrace } from "../on-trace.ts";
import { makeCredential, podRequest, problemsOfPods } from "../pod-request.ts";
import type { Lesson } from "../slow-start.ts";

const RETRYABLE: ReadonlySet<RefusalReason> = new Set(["capacity", "rate_limited", "unreachable"]);
/** Statuses of a refusal that another place may not share: no stock, or a rule of this place. */
const OF_THE_PLACE: ReadonlySet<number | null> = new Set([400, 403, 404]);
/** One call of the activity asks no more places and begins no request later than this; its limit is two minutes. */
const MOST_PLACES = 40;
const FALL_THROUGH_MS = 60_000;
const CATALOG_PATIENCE_MS = 3_000;
const STOPPING = "this Temporal worker stops; another one asks";

export interface CreatePodDeps {
  readonly config: Config;
  readonly deployment: string;
  readonly runpod: Pick<RunpodClient, "createPod">;
  readonly market: MarketReader;
  readonly placements: PlacementStore;
  readonly workers: Pick<WorkerStore, "noteNoFunds" | "recordPod">;
  readonly logger: Logger;
  /** Is told how each request to the provider ended: created, ambiguous, or why it was refused. */
  readonly onCreate?: ((pool: string, outcome: string) => void) | undefined;
  /** A variable of this process, which a pool's WORKER_ENV may pass on to its pods. */
  readonly ownVariable: (name: string) => string | undefined;
  /** Aborted when this process is to stop: a request that was sent is waited for, and no other is sent. */
  readonly stopping?: AbortSignal;
}

interface Asking {
  readonly pool: string;
  readonly id: string;
  readonly timings: WorkerTimings;
}

/**
 * Asks one place after the other for the worker's pod, until one gives it or none is left. Each request is elected by
 * the row, and a place is asked only after a definite refusal by the one before.
 */
export async function createPod(deps: CreatePodDeps, asking: Asking): Promise<CreatePodResult> {
  const { config, market, placements } = deps;
  const endAtMs = Date.now() + FALL_THROUGH_MS;
  let tooDearUsd = Infinity;
  for (let asked = 1; ; asked++) {
    if (deps.stopping?.aborted === true) {
      return { kind: "refused", reason: "capacity", detail: STOPPING, retryable: true, retryAfterSec: null };
    }
    const ground = await placements.read(asking.id);
    if (ground === null) {
      return { kind: "not_elected" };
    }
    const { job, decisionId } = ground;
    noteOnTrace({ pool: asking.pool, worker: asking.id, decision: decisionId });
    const inForce = settingsInForce(config, ground.environment, { ...ground.config, ...job?.details.settings });
    const [problem] = problemsOfPods(config, inForce);
    if (problem !== undefined) {
      return { kind: "refused", reason: "invalid", detail: problem.message, retryable: false, retryAfterSec: null };
    }
    const settings = await settingsOfPod(inForce, job);
    const catalog = await market.catalog(settings, CATALOG_PATIENCE_MS);
    const volume = await market.volume(settings);
    const { misses, nowMs, speeds } = ground;
    // A job is no task of the queue, so what tasks cost says nothing about it.
    const cheapestFirst = settings.policy === "latency" && job === null;
    const placement = placementOf(settings, { catalog, volume, misses, nowMs, speeds, cheapestFirst });
    const chosen = placement.open.find(({ usdPerHour }) => (usdPerHour ?? 0) < tooDearUsd);
    if (chosen === undefined) {
      const reason = Number.isFinite(tooDearUsd)
        ? `MAX_HOURLY_SPEND_USD leaves no room for a pod of $${tooDearUsd} an hour, and no cheaper place is left`
        : whyNone(placement, inWords(settings));
      await placements.noteNoPlace(asking.id, reason);
      const waitSec = Math.ceil((retryAtMs(settings, placement, ground.nowMs) - ground.nowMs) / 1000);
      return { kind: "refused", reason: "capacity", detail: reason, retryable: true, retryAfterSec: waitSec };
    }
    const result = await ask(deps, asking, settings, volume, chosen, whyThisOne(chosen, placement));
    if (result.kind === "over_budget") {
      tooDearUsd = chosen.usdPerHour ?? 0;
    } else if (result.kind !== "missed") {
      return result;
    } else if (asked >= MOST_PLACES || Date.now() > endAtMs) {
      return { kind: "refused", reason: "capacity", detail: result.detail, retryable: true, retryAfterSec: null };
    }
  }
}

type Asked = CreatePodResult | { readonly kind: "over_budget" } | { readonly kind: "missed"; readonly detail: string };

async function ask(
  deps: CreatePodDeps,
  { pool, id, timings }: Asking,
  settings: PoolSettings,
  volume: BindingVolume | null,
  place: Candidate,
  why: string,
): Promise<Asked> {
  const { config, deployment, runpod, placements } = deps;
  const expanded = passedOn(settings.workerEnv, deps.ownVariable);
  if ("problem" in expanded) {
    return { kind: "refused", reason: "invalid", detail: expanded.problem, retryable: false, retryAfterSec: null };
  }
  const credential = makeCredential();
  const elected = await placements.beginPost(id, {
    tokenHash: credential.hash,
    beatHash: credential.beatHash,
    lifetimeSec: credentialLifetimeSec(timings),
    place,
    why,
    maxHourlySpendUsd: settings.maxHourlySpendUsd ?? null,
  });
  if (elected === "no_funds") {
    return refusedForFunds("the account has no funds, so the provider was not asked");
  }
  if (elected !== "elected") {
    return { kind: elected };
  }
  const volumeId = volume !== null && "id" in volume ? volume.id : null;
  const whose = {
    config,
    settings,
    workerEnv: expanded.values,
    place: { ...place, volumeId },
    deployment,
    pool,
    id,
    credential,
    timings,
  };
  // No cancellation signal: a request that was sent must be answered or settled, never dropped.
  const outcome = await runpod.createPod(podRequest({ ...whose, nowMs: Date.now() }));
  deps.onCreate?.(pool, outcome.kind === "refused" ? outcome.reason : outcome.kind);
  return await conclude(deps, id, place, outcome);
}

/** The variables that WORKER_ENV gives the pod, or why it cannot. */
function passedOn(
  entries: readonly string[],
  own: CreatePodDeps["ownVariable"],
): { readonly values: Readonly<Record<string, string>> } | { readonly problem: string } {
  try {
    const { values, missing } = expandEnvironment(entries, own);
    const problem = `WORKER_ENV names ${missing.join(", ")}, not set where this Temporal worker runs: set it, or take it out`;
    return missing.length > 0 ? { problem } : { values };
  } catch (error) {
    if (error instanceof ConfigError) {
      const whys = error.problems.map(({ message }) => message).join("; ");
      return { problem: `WORKER_ENV names what this Temporal worker cannot read: ${whys}` };
    }
    throw error;
  }
}

async function conclude(
  { placements, workers, logger }: CreatePodDeps,
  id: string,
  place: Candidate,
  outcome: CreatePodOutcome,
): Promise<Asked> {
  if (outcome.kind === "ambiguous") {
    if (outcome.lacksFunds === true) {
      await workers.noteNoFunds(id, outcome.detail);
    }
    logger.warn({ worker: id, detail: outcome.detail }, "create request without a clear answer; settling by name");
    return { kind: "ambiguous", detail: outcome.detail };
  }
  if (outcome.kind === "refused") {
    const { reason, detail, status } = outcome;
    if (reason === "funds") {
      await workers.noteNoFunds(id, detail);
    }
    const isMiss = reason === "capacity" || (isOfPlace(reason) && OF_THE_PLACE.has(status));
    await placements.rearmPost(id, `${reason}: ${detail}`, isMiss ? place : undefined);
    if (isMiss) {
      return { kind: "missed", detail };
    }
    const retryAfterSec = outcome.retryAfterSec ?? null;
    return { kind: "refused", reason, detail, retryable: RETRYABLE.has(reason), retryAfterSec };
  }
  const pod = described(outcome.pod);
  // If the database does not answer here, the workflow records the pod later, and retries without end.
  const recorded = await workers.recordPod(id, pod, false).then(
    () => true,
    (error: unknown) => {
      logger.warn({ worker: id, podId: pod.podId, err: error }, "pod created but not recorded yet");
      return false;
    },
  );
  return { kind: "created", pod, recorded };
}

function isOfPlace(reason: RefusalReason): boolean {
  return reason === "invalid" || reason === "forbidden";
}

function refusedForFunds(detail: string): CreatePodResult {
  return { kind: "refused", reason: "funds", detail, retryable: false, retryAfterSec: null };
}

/** The outcome of one request decides how fast the other requests of a burst follow. */
export function lessonOf(result: CreatePodResult): Lesson {
  if (result.kind === "refused" && result.reason === "funds") {
    return "begin anew";
  }
  return result.kind === "ambiguous" || result.kind === "not_elected" ? "unclear" : "go on";
}

/** Describes the request that every place gets. It leaves out the environment, which may hold secrets. */
function inWords(settings: PoolSettings): string {
  const { workerImage, workerTemplateId, containerDiskGb, minVcpuCount, minMemoryGb } = settings;
  const template = workerTemplateId ? `template ${workerTemplateId}, ` : "";
  return `image ${workerImage}, ${template}disk ${containerDiskGb} GB, at least ${minVcpuCount} vCPUs and ${minMemoryGb} GB`;
}

/** The longest life of a worker, which needs its credential until its last task is finished. */
function credentialLifetimeSec(timings: WorkerTimings): number {
  return longestBootSec(timings) + timings.workerMaxLifetimeSec + timings.gracefulShutdownTimeoutSec;
}

export function described(pod: Pod): CreatedPod {
  // An ended pod shows 0, which is not the price of its life.
  return { podId: pod.id, costPerHourUsd: plausiblePrice(pod.costPerHour), createdAt: pod.createdAt };
}
