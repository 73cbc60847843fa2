import { Context } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { settingsInForce } from "../config/settings-in-force.ts";
import { expandEnvironment } from "../config/worker-environment.ts";
import type { CreatedPod, CreatePodResult, PodActivities } from "../contract/activities.ts";
import { FAILURES } from "../contract/failures.ts";
import type { WorkerTimings } from "../contract/inputs.ts";
import type { RunpodClient } from "../runpod/client.ts";
import type { ListPodsOutcome, RefusalReason } from "../runpod/outcomes.ts";
import { plausiblePrice } from "../runpod/plausible.ts";
import type { Pod } from "../runpod/types.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { beating } from "./beating.ts";
import { bootStageOf } from "./boot-stages.ts";
import { type Lesson, slowStart } from "./slow-start.ts";
import { workerTimings } from "./worker-timings.ts";
import { firstPlace, makeCredential, ownerOf, podRequest } from "./pod-request.ts";

const RETRYABLE: ReadonlySet<RefusalReason> = new Set(["capacity", "rate_limited", "unreachable"]);
/** From this attempt on an alert says that a pod cannot be removed: it may be billing. */
const ALARM_ATTEMPT = 5;
/** A pod that is listed for this long after its deletion was accepted may be billing too. */
const ALARM_LISTED_SEC = 120;

export interface PodDeps {
  readonly config: Config;
  readonly deployment: string;
  readonly runpod: RunpodClient;
  readonly listPods: () => Promise<ListPodsOutcome>;
  readonly workers: WorkerStore;
  readonly logger: Logger;
  /** A variable of this process, which a pool's WORKER_ENV may pass on to its pods. */
  readonly ownVariable: (name: string) => string | undefined;
}

/** Creates, finds, checks and removes one worker's pod. It touches only pods of the worker's name or recorded pod id. */
export function createPodActivities(deps: PodDeps): PodActivities {
  const { config, runpod, workers } = deps;
  // An account without funds is then asked once, and not by every worker of a burst.
  const inTurn = slowStart(lessonOf);
  return {
    createPod: (pool, id, timings = workerTimings(config, {}, {})) =>
      beating(() => inTurn(() => createPod(deps, pool, id, timings))),

    findPod: (id) =>
      beating(async () => {
        const pods = await completeList(deps, `looking for a pod named ${id}`);
        const [found] = ownPodsNamed(deps, pods, id);
        return { pod: found === undefined ? null : described(found) };
      }),

    checkBoot: (id, podId) =>
      beating(async () => {
        const answer = await runpod.getPod(podId);
        if (answer.kind === "unknown") {
          throw ApplicationFailure.create({ message: answer.detail, type: FAILURES.providerUnknown });
        }
        if (answer.kind === "absent" || ownerOf(answer.pod, deps.deployment) === "another") {
          return { status: "absent" };
        }
        await workers.recordBootStage(id, bootStageOf(answer.pod, null));
        return { status: answer.pod.status };
      }),

    removePod: (id, podId) => beating(() => removePod(deps, id, podId)),
  };
}

async function createPod(deps: PodDeps, pool: string, id: string, timings: WorkerTimings): Promise<CreatePodResult> {
  const { config, deployment, runpod, workers, logger, ownVariable } = deps;
  const loaded = await workers.load(id);
  if (loaded === null) {
    return { kind: "not_elected" };
  }
  const settings = settingsInForce(config, loaded.environment, loaded.config);
  const { values: workerEnv, missing } = expandEnvironment(settings.workerEnv, ownVariable);
  if (missing.length > 0) {
    const detail = `WORKER_ENV names ${missing.join(", ")}, not set where this Temporal worker runs: set it, or take it out`;
    return { kind: "refused", reason: "invalid", detail, retryable: false, retryAfterSec: null };
  }
  const credential = makeCredential();
  const elected = await workers.beginPost(id, credential.hash, credentialLifetimeSec(timings), credential.beatHash);
  if (elected === "not_elected") {
    return { kind: "not_elected" };
  }
  if (elected === "no_funds") {
    return refusedForFunds("the account has no funds, so the provider was not asked");
  }
  const place = firstPlace(settings);
  const whose = { config, settings, workerEnv, place, deployment, pool, id, credential, timings };
  // No cancellation signal: a request that was sent must be answered or settled, never dropped.
  const outcome = await runpod.createPod(podRequest({ ...whose, nowMs: Date.now() }));
  if (outcome.kind === "ambiguous") {
    if (outcome.lacksFunds === true) {
      await workers.noteNoFunds(id, outcome.detail);
    }
    logger.warn({ worker: id, detail: outcome.detail }, "create request without a clear answer; settling by name");
    return { kind: "ambiguous", detail: outcome.detail };
  }
  if (outcome.kind === "refused") {
    const { reason, detail } = outcome;
    if (reason === "funds") {
      await workers.noteNoFunds(id, detail);
    }
    await workers.rearmPost(id, `${reason}: ${detail}`);
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

function refusedForFunds(detail: string): CreatePodResult {
  return { kind: "refused", reason: "funds", detail, retryable: false, retryAfterSec: null };
}

function lessonOf(result: CreatePodResult): Lesson {
  if (result.kind === "refused" && result.reason === "funds") {
    return "begin anew";
  }
  return result.kind === "ambiguous" || result.kind === "not_elected" ? "unclear" : "go on";
}

async function removePod(deps: PodDeps, id: string, podId: string | null): ReturnType<PodActivities["removePod"]> {
  try {
    return await removeAndLook(deps, id, podId);
  } catch (error) {
    const { attempt } = Context.current().info;
    if (attempt >= ALARM_ATTEMPT) {
      const fields = { worker: id, podId, attempt, err: error };
      deps.logger.error(fields, "pod cannot be removed and may be billing; retrying");
      await alarm(deps, id, (error as Error).message);
    }
    throw error;
  }
}

async function removeAndLook(deps: PodDeps, id: string, podId: string | null): ReturnType<PodActivities["removePod"]> {
  const { workers, logger, deployment } = deps;
  let deletedSec = 0;
  if (podId !== null) {
    if (await isAnothers(deps, podId)) {
      logger.error({ worker: id, podId }, "the worker's pod carries the id of another deployment; it is left alone");
    } else {
      await mustDelete(deps, id, podId);
    }
    deletedSec = await workers.recordDeleted(id);
  }
  const pods = await completeList(deps, `looking whether pod ${podId ?? id} is gone`);
  const recorded = pods.filter((pod) => pod.id === podId && ownerOf(pod, deployment) !== "another");
  const named = ownPodsNamed(deps, pods, id).filter((pod) => pod.id !== podId);
  const shown = [...recorded.filter(({ status }) => status !== "TERMINATED"), ...named];
  for (const twin of named) {
    logger.warn({ worker: id, podId: twin.id }, "another pod has the name of this worker; deleting it");
    if (podId === null) {
      // Its cost is booked too.
      await workers.recordPod(id, described(twin), true);
    }
    await mustDelete(deps, id, twin.id);
  }
  const detail = shown.map((pod) => `${pod.id} ${pod.status}`).join(", ");
  if (shown.length > 0 && deletedSec > ALARM_LISTED_SEC) {
    await alarm(deps, id, `still listed ${ALARM_LISTED_SEC} s after the deletion was accepted: ${detail}`);
  }
  return { absent: shown.length === 0, detail: detail || "no list shows it" };
}

/** The removal itself goes on, whether or not the alert could be written. */
async function alarm({ workers, logger }: PodDeps, id: string, message: string): Promise<void> {
  await workers.deleteFails(id, message).catch((error: unknown) => {
    logger.warn({ worker: id, err: error }, "the alert delete_failing could not be written");
  });
}

async function mustDelete({ runpod }: PodDeps, id: string, podId: string): Promise<void> {
  const answer = await runpod.deletePod(podId);
  if (answer.kind === "unknown") {
    const { retryAfterSec = 0 } = answer;
    throw ApplicationFailure.create({
      message: `deleting pod ${podId} of worker ${id}: ${answer.detail}`,
      type: FAILURES.providerUnknown,
      // This delay replaces our own pause, so a header may lengthen the pause but never shorten it.
      ...(retryAfterSec > ownPauseSec() ? { nextRetryDelay: `${retryAfterSec}s` } : {}),
    });
  }
}

/** At least the pause after this attempt that the workflow's retry policy sets. */
function ownPauseSec(): number {
  return 2 ** (Context.current().info.attempt - 1);
}

async function completeList({ listPods }: PodDeps, what: string): Promise<readonly Pod[]> {
  const list = await listPods();
  if (list.kind === "unknown") {
    throw ApplicationFailure.create({
      message: `${what}: the provider's list is unknown: ${list.detail}`,
      type: FAILURES.providerUnknown,
    });
  }
  return list.pods;
}

/** Living pods of this name with our id. One without it is reported and left alone: names are not ours alone. */
function ownPodsNamed({ deployment, logger }: PodDeps, pods: readonly Pod[], id: string): readonly Pod[] {
  const named = pods.filter(
    // The environment repeats the name. A pod whose name the provider does not show must not be lost.
    (pod) => pod.status !== "TERMINATED" && (pod.name ?? pod.env?.["WORKER_ID"]) === id,
  );
  const ours = named.filter((pod) => ownerOf(pod, deployment) === "us");
  for (const pod of named.filter((each) => !ours.includes(each))) {
    logger.warn(
      { worker: id, podId: pod.id },
      "a pod has the name of this worker but not our deployment's id; left alone",
    );
  }
  return ours;
}

/**
 * Whether the recorded pod carries another deployment's id, as in a copy of another database. Only an id that is shown
 * proves it: the row's own record says that the pod is ours.
 */
async function isAnothers({ runpod, deployment }: PodDeps, podId: string): Promise<boolean> {
  const answer = await runpod.getPod(podId);
  return answer.kind === "found" && ownerOf(answer.pod, deployment) === "another";
}

/** The longest life of a worker, which needs its credential until its last task is finished. */
function credentialLifetimeSec(timings: WorkerTimings): number {
  return timings.spawningTimeoutSec + timings.workerMaxLifetimeSec + timings.gracefulShutdownTimeoutSec;
}

function described(pod: Pod): CreatedPod {
  // An ended pod shows 0, which is not the price of its life.
  return { podId: pod.id, costPerHourUsd: plausiblePrice(pod.costPerHour), createdAt: pod.createdAt };
}
