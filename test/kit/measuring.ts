import { expect } from "vitest";
import type { WaitTarget } from "../../src/policy/latency/wait-target.ts";
import type { Database } from "../../src/supabase/client.ts";
import { type Figures, measure } from "../../src/supabase/measured/figures.ts";
import type { Queue } from "./queue.ts";

export interface LookRequest {
  /** Default: true. */
  readonly full?: boolean;
  readonly target?: WaitTarget;
  /** Default: 0, so that each look measures. */
  readonly everySec?: number;
  readonly knownMs?: number;
}

/** Null: the figures are those that `knownMs` names. */
export async function look(
  queue: Queue,
  pool: string,
  { full = true, ...request }: LookRequest = {},
): Promise<Figures | null> {
  const args = { p_pool: pool, p_known_fleet: null, p_full: full, p_poll_sec: 30 };
  const seen = await queue.call<{ now_ms: number; queued: number; fleet_hash: string }>("pool_observe", args);
  const measurable = { nowMs: seen.now_ms, queued: seen.queued, fleetHash: seen.fleet_hash };
  const database: Pick<Database, "call"> = {
    call: async (name, given, answer) => answer.parse(await queue.call(name, given)),
  };
  return await measure(database, pool, { everySec: 0, knownMs: null, target: null, ...request }, measurable, full);
}

export async function measuredOf(queue: Queue, pool: string, request: LookRequest = {}): Promise<Figures> {
  const found = await look(queue, pool, request);
  expect(found).not.toBeNull();
  return found!;
}

/** Makes the last measurement older by so many seconds; below 0, newer than now. */
export async function age(queue: Queue, pool: string, sec: number): Promise<void> {
  const columns = ["measured_at", "claims_to", "services_at", "counted_to"];
  const changes = columns.map((name) => `${name} = ${name} - make_interval(secs => $2)`);
  await queue.rows(`update pool_measurements set ${changes.join(", ")} where pool = $1`, [pool, sec]);
}

/** Tasks a second that became claimable, over all kinds. */
export function rateOf({ demand }: Figures): number {
  return demand.reduce((sum, { arrivalsPerSec }) => sum + arrivalsPerSec, 0);
}
