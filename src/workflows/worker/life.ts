import { setCurrentDetails, upsertSearchAttributes } from "@temporalio/workflow";
import type { WorkerActivities } from "../../contract/activities.ts";
import type { GpuWorkerInput, WorkerRow } from "../../contract/inputs.ts";
import type { PodJobInput } from "../../contract/pod-job.ts";
import { POD_ID, WORKER_PHASE } from "../../contract/search-attributes.ts";
import type { WorkerPhase, WorkerSignal } from "../../contract/worker-api.ts";
import { workerActivities } from "./activities.ts";

/** A signal that ends the worker, if its row agrees. */
export type Order = Exclude<WorkerSignal, { readonly name: "ready" | "released" }>;

/** Everything that the phases of one worker's life share and change. */
export interface Life {
  readonly pool: string;
  readonly id: string;
  readonly activities: WorkerActivities;
  phase: WorkerPhase;
  podId: string | null;
  /** The order to carry out next. */
  order: Order | null;
  /** The first heartbeat has come. */
  ready: boolean;
  /** The worker holds no task any more. */
  released: boolean;
  /** The drained worker's task may take as long as it makes progress. */
  drainsWithoutDeadline: boolean;
  /** The worker's row as the last order left it; null: it must be read. */
  row: WorkerRow | null;
  /** Its workflow was cancelled. */
  cancelled: boolean;
}

export function beginLife({ pool, id, carried }: GpuWorkerInput | PodJobInput): Life {
  return {
    pool,
    id,
    activities: workerActivities(),
    phase: "loading",
    podId: null,
    order: carried?.order ?? null,
    ready: false,
    released: carried?.released ?? false,
    drainsWithoutDeadline: false,
    row: null,
    cancelled: false,
  };
}

/** Shows the phase to the query and as current details, with the reason where there is one. */
export function show(life: Life, phase: WorkerPhase, podId: string | null = null, reason: string | null = null): void {
  life.phase = phase;
  const pod = podId === null ? "" : `, pod ${podId}`;
  // As code, because a reason may hold a worker's own words.
  const why = reason === null ? "" : `\n\n\`${reason.replaceAll("`", "'").replaceAll("\n", " ")}\``;
  setCurrentDetails(`### Worker ${life.id} of pool ${life.pool}\n\n**${phase}**${pod}${why}`);
}

/** As show, and in the search attributes, each of which costs an event. */
export function enter(life: Life, phase: WorkerPhase, podId: string | null = null): void {
  show(life, phase, podId);
  const pod = podId === null ? [] : [{ key: POD_ID, value: podId }];
  upsertSearchAttributes([{ key: WORKER_PHASE, value: phase }, ...pod]);
}
