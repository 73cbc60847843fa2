import { Context } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import type { CreatedPod, CreatePodResult, PodActivities } from "../contract/activities.ts";
import type { WorkerTimings } from "../contract/inputs.ts";
import type { RunpodClient } from "../runpod/client.ts";
import type { CreatePodOutcome, ListPodsOutcome, RefusalReason } from "../runpod/outcomes.ts";
import type { Pod } from "../runpod/types.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { workerTimings } from "./worker-timings.ts";
import { carriesMark, makeCredential, podRequest } from "./pod-request.ts";

/** Longer than a heartbeat's throttling, much shorter than its timeout in the workflow. */
const HEARTBEAT_MS = 2_000;
const RETRYABLE: ReadonlySet<RefusalReason> = new Set(["capacity", "rate_limited", "unreachable"]);
/** From here on a pod that cannot be removed is an alarm: it may be billing. */
const ALARM_ATTEMPT = 5;

export interface PodDeps {
  readonly config: Config;
  readonly runpod: RunpodClient;
  readonly listPods: () => Promise<ListPodsOutcome>;
  readonly workers: WorkerStore;
  readonly logger: Logger;
}

/** Everything that touches the provider for one worker. Only pods of this worker's name, or of its recorded id, are touched. */
export function createPodActivities(deps: PodDeps): PodActivities {
  const { config, runpod, workers, logger } = deps;

  async function completeList(what: string): Promise<readonly Pod[]> {
    const list = await deps.listPods();
    if (list.kind === "unknown") {
      throw ApplicationFailure.create({
        message: `${what}: the provider's list is unknown: ${list.detail}`,
        type: "ProviderUnknown",
      });
    }
    return list.pods;
  }

  const isOurs = (pod: Pod, id: string) => pod.name === id && carriesMark(config, pod);

  return {
    createPod: (pool, id, timings = workerTimings(config, {}, {})) =>
      beating(async () => {
        const credential = makeCredential();
        const elected = await workers.beginPost(id, credential.hash, credentialLifetimeSec(timings));
        if (!elected) {
          return { kind: "not_elected" };
        }
        // No cancellation signal: a request that is under way must be answered or settled, never dropped.
        const outcome = await runpod.createPod(podRequest(config, pool, id, credential, timings, Date.now()));
        return await settleOutcome(id, outcome);
      }),

    findPod: (id) =>
      beating(async () => {
        const pods = await completeList(`looking for a pod named ${id}`);
        const found = pods.find((pod) => isOurs(pod, id) && pod.status !== "TERMINATED");
        return { pod: found === undefined ? null : described(found) };
      }),

    checkBoot: (id, podId) =>
      beating(async () => {
        const answer = await runpod.getPod(podId);
        if (answer.kind === "unknown") {
          throw ApplicationFailure.create({ message: answer.detail, type: "ProviderUnknown" });
        }
        if (answer.kind === "absent") {
          return { status: "absent" };
        }
        await workers.recordBootStage(id, answer.pod.status.toLowerCase());
        return { status: answer.pod.status };
      }),

    removePod: (id, podId) =>
      beating(async () => {
        try {
          return await removeAndLook(id, podId);
        } catch (error) {
          const { attempt } = Context.current().info;
          if (attempt >= ALARM_ATTEMPT) {
            logger.error(
              { worker: id, podId, attempt, err: error },
              "pod cannot be removed and may be billing; trying on",
            );
          }
          throw error;
        }
      }),
  };

  async function settleOutcome(id: string, outcome: CreatePodOutcome): Promise<CreatePodResult> {
    if (outcome.kind === "ambiguous") {
      logger.warn({ worker: id, detail: outcome.detail }, "create request without a clear answer; settling by name");
      return outcome;
    }
    if (outcome.kind === "refused") {
      await workers.rearmPost(id, `${outcome.reason}: ${outcome.detail}`);
      return {
        kind: "refused",
        reason: outcome.reason,
        detail: outcome.detail,
        retryable: RETRYABLE.has(outcome.reason),
        retryAfterSec: outcome.retryAfterSec ?? null,
      };
    }
    const pod = described(outcome.pod);
    // The workflow records it, with endless patience, when the database does not answer here.
    const recorded = await workers.recordPod(id, pod, false).then(
      () => true,
      (error: unknown) => {
        logger.warn({ worker: id, podId: pod.podId, err: error }, "pod created but not recorded yet");
        return false;
      },
    );
    return { kind: "created", pod, recorded };
  }

  async function removeAndLook(id: string, podId: string | null) {
    if (podId !== null) {
      await mustDelete(id, podId);
      await workers.recordDeleted(id);
    }
    const pods = await completeList(`looking whether pod ${podId ?? id} is gone`);
    const shown = pods.filter((pod) => pod.status !== "TERMINATED" && (pod.id === podId || isOurs(pod, id)));
    for (const twin of shown.filter((pod) => pod.id !== podId)) {
      logger.warn({ worker: id, podId: twin.id }, "a pod of a name that must not live; deleting it");
      await mustDelete(id, twin.id);
    }
    return {
      absent: shown.length === 0,
      detail: shown.map((pod) => `${pod.id} ${pod.status}`).join(", ") || "no list shows it",
    };
  }

  async function mustDelete(id: string, podId: string): Promise<void> {
    const answer = await runpod.deletePod(podId);
    if (answer.kind === "unknown") {
      throw ApplicationFailure.create({
        message: `deleting pod ${podId} of worker ${id}: ${answer.detail}`,
        type: "ProviderUnknown",
        ...(answer.retryAfterSec === undefined ? {} : { nextRetryDelay: `${answer.retryAfterSec}s` }),
      });
    }
  }
}

/** As long as the worker may live at most: it finishes its last task with it. */
function credentialLifetimeSec(timings: WorkerTimings): number {
  return timings.spawningTimeoutSec + timings.workerMaxLifetimeSec + timings.gracefulShutdownTimeoutSec;
}

/** Heartbeats while the work goes on: the death of this process is noticed in seconds, not at the work's deadline. */
async function beating<T>(work: () => Promise<T>): Promise<T> {
  const beat = setInterval(() => Context.current().heartbeat(), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}

function described(pod: Pod): CreatedPod {
  return { podId: pod.id, costPerHourUsd: pod.costPerHour, createdAt: pod.createdAt };
}
