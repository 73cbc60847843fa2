import { ownerOf } from "./pod-request.ts";
import type { ListPodsOutcome } from "../runpod/outcomes.ts";
import type { PodEvidence } from "../policy/observation.ts";
import type { ReadWorker } from "../supabase/observation.ts";

/** Evidence about the fleet's pods from the provider's lists. */
export interface PodEvidenceBook {
  of(worker: ReadWorker): PodEvidence | null;
  /** @param fleet as it was known before the list was requested. An unknown list changes nothing. */
  note(fleet: readonly ReadWorker[], list: ListPodsOutcome): void;
}

/**
 * Absence counts only for a pod that was listed before, or whose worker was ready once, because lists lag behind
 * creation. A pod with the id of another deployment is no evidence, neither that ours lives nor that it is gone. The
 * evidence is kept in memory: after a restart it takes two new lists again, which is safe.
 */
export function podEvidenceBook(deployment: string): PodEvidenceBook {
  const seen = new Set<string>();
  const statuses = new Map<string, string>();
  const absences = new Map<string, number>();
  return {
    of({ podId }) {
      if (podId === null) {
        return null;
      }
      const status = statuses.get(podId);
      if (status !== undefined) {
        return { kind: "listed", status };
      }
      return (absences.get(podId) ?? 0) >= 2 ? { kind: "absent" } : null;
    },

    note(fleet, list) {
      if (list.kind === "unknown") {
        return;
      }
      const listed = new Map(list.pods.map((pod) => [pod.id, pod.status]));
      const foreign = new Set(list.pods.filter((pod) => ownerOf(pod, deployment) === "another").map(({ id }) => id));
      const known = new Set<string>();
      for (const { podId, readyMs } of fleet) {
        if (podId === null || foreign.has(podId)) {
          continue;
        }
        known.add(podId);
        const status = listed.get(podId);
        if (status !== undefined) {
          seen.add(podId);
          statuses.set(podId, status);
          absences.delete(podId);
        } else if (seen.has(podId) || readyMs !== null) {
          statuses.delete(podId);
          absences.set(podId, (absences.get(podId) ?? 0) + 1);
        }
      }
      for (const podId of [...seen, ...statuses.keys(), ...absences.keys()].filter((id) => !known.has(id))) {
        seen.delete(podId);
        statuses.delete(podId);
        absences.delete(podId);
      }
    },
  };
}
