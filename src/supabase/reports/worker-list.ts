import { z } from "zod";
import type { Database } from "../client.ts";
import type { SeenWorker } from "../fleet/fleet-store.ts";
import { readOne, shaped } from "../requests.ts";
import { TABLES } from "../tables.ts";

export type WorkerPhase = "spawning" | "idle" | "busy" | "terminating" | "failing" | "gone";

export interface WorkerListFilter {
  readonly pool?: string;
  readonly phases?: readonly WorkerPhase[];
  /** A part of the name of its GPU, in any case. */
  readonly gpu?: string;
  /** Without a heartbeat for at least so long. */
  readonly silentSec?: number;
  /** ISO 8601: also those that went since then. */
  readonly goneSince?: string;
  /** At most 1,000. */
  readonly limit: number;
}

export interface ListedWorker extends Omit<SeenWorker, "held"> {
  readonly phase: WorkerPhase;
  /** At most one. */
  readonly held: readonly (SeenWorker["held"][number] & { readonly model: string | null })[];
}

export interface WorkerList {
  readonly workers: ListedWorker[];
  /** How many more match. */
  readonly leftOut: number;
}

const answer = z.object({
  workers: z.array(z.custom<Omit<ListedWorker, "held"> & { readonly held: Held | null }>()),
  left_out: z.number(),
});

interface Held {
  readonly task_id: string;
  readonly task_type: string;
  readonly model: string | null;
  readonly progress: number | null;
  readonly started_at: string;
}

/** The workers that match, the oldest first. @throws DatabaseError */
export async function listWorkers(database: Database, filter: WorkerListFilter): Promise<WorkerList> {
  const { pool, phases, gpu, silentSec, goneSince, limit } = filter;
  const args = {
    p_limit: limit,
    p_pool: pool ?? null,
    p_phases: phases === undefined ? null : [...phases],
    p_gpu: gpu ?? null,
    p_silent_sec: silentSec ?? null,
    p_gone_since: goneSince ?? null,
  };
  const read = await readOne("list workers", () => database[TABLES].rpc("list_workers", args));
  const { workers, left_out: leftOut } = shaped("list workers", answer, read);
  return {
    leftOut,
    workers: workers.map(({ held, ...worker }) => ({
      ...worker,
      held: held === null ? [] : [{ ...withoutType(held), tasks: { task_type: held.task_type } }],
    })),
  };
}

function withoutType({ task_type: _type, ...held }: Held): Omit<Held, "task_type"> {
  return held;
}
