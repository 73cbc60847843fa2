import type { Observation, ObservedWorker } from "../../src/policy/observation.ts";
import type { Reading } from "../../src/supabase/observation.ts";
import type { WorkerStore } from "../../src/supabase/worker-store.ts";
import { observe } from "./policy.ts";

/** An observation as the database answers it, with the fleet. */
export function readingOf(fleet: readonly ObservedWorker[], overrides: Partial<Omit<Observation, "fleet">> = {}) {
  return {
    ...observe(fleet, overrides),
    fleetHash: "hash",
    alerts: [],
    config: {},
    environment: {},
    watchId: null,
    measured: null,
    fleet: fleet.map((worker) => ({ ...worker, bootStage: "ready", bootStageMs: worker.createdMs })),
  } satisfies Reading;
}

export const noBootStages: Pick<WorkerStore, "recordBootStage"> = { recordBootStage: async () => undefined };
