import { Context } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import type { PodActivities } from "../contract/activities.ts";
import { FAILURES } from "../contract/failures.ts";
import type { RunpodClient } from "../runpod/client.ts";
import type { ListPodsOutcome } from "../runpod/outcomes.ts";
import type { Pod } from "../runpod/types.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { beating } from "./beating.ts";
import { keepPodLog } from "./boot/pod-log.ts";
import { bootStageOf } from "./boot/boot-stages.ts";
import { createPod, type CreatePodDeps, described, lessonOf } from "./placement/create-pod.ts";
import { slowStart } from "./slow-start.ts";
import { workerTimings } from "./worker-timings.ts";
import { ownerOf } from "./pod-request.ts";

/** From this attempt on an alert says that a pod cannot be removed: it may be billing. */
const ALARM_ATTEMPT = 5;
/** A pod that is listed for this long after its deletion was accepted may be billing too. */
const ALARM_LISTED_SEC = 120;

export interface PodDeps extends CreatePodDeps {
  readonly runpod: RunpodClient;
  readonly listPods: () => Promise<ListPodsOutcome>;
  readonly workers: WorkerStore;
}

/** Creates, finds, checks and removes one worker's pod. It touches only pods of the worker's name or recorded pod id. */
export function createPodActivities(deps: PodDeps): PodActivities {
  const { config, runpod, workers } = deps;
  // An account without funds is then asked once, and not by every worker of a burst.
  const inTurn = slowStart(lessonOf);
  return {
    createPod: (pool, id, timings = workerTimings(config, {}, {})) =>
      beating(() => inTurn(() => createPod(deps, { pool, id, timings }))),

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
        const stage = bootStageOf(answer.pod, null);
        if (stage !== null) {
          await workers.recordBootStage(id, stage);
        }
        return { status: answer.pod.status };
      }),

    removePod: (id, podId) => beating(() => removePod(deps, id, podId)),
  };
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
    const pod = await shownPod(deps, podId);
    if (pod !== null && ownerOf(pod, deployment) === "another") {
      logger.error({ worker: id, podId }, "the worker's pod carries the id of another deployment; it is left alone");
    } else {
      await keepPodLog(deps, id, podId, pod?.env ?? null);
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
 * The recorded pod as the provider shows it; null: it does not. Only another deployment's id that is shown there, as in a
 * copy of another database, proves it not ours: the row's own record says that it is.
 */
async function shownPod({ runpod }: PodDeps, podId: string): Promise<Pod | null> {
  const answer = await runpod.getPod(podId);
  return answer.kind === "found" ? answer.pod : null;
}
