import { performance } from "node:perf_hooks";
import type { Bed } from "./bed.ts";

/** How many tasks one round completes. */
export const ROUND_TASKS = 3_000;
/** How many tasks are still queued at the end of a round. */
export const LEFT_QUEUED = 1_000;

interface Lease {
  readonly task_id: string;
  readonly lease_token: string;
}

/** Claims for the n-th client; null: the queue was empty. */
export type Claim = (client: number) => Promise<Lease | null>;
export type Finish = (client: number, lease: Lease) => Promise<void>;
/** Finishes one and claims the next. */
export type FinishAndClaim = (client: number, lease: Lease) => Promise<Lease | null>;

/** Tasks per second, with one call to claim and one to complete. Throws if the queue becomes empty. */
export async function workInTwoCalls(clients: number, claim: Claim, finish: Finish): Promise<number> {
  return await timed(clients, async (client, mayGoOn) => {
    while (mayGoOn()) {
      await finish(client, some(await claim(client)));
    }
  });
}

/** Tasks per second, each call finishing one task and claiming the next. */
export async function workInOneCall(
  clients: number,
  claim: Claim,
  finishAndClaim: FinishAndClaim,
  finish: Finish,
): Promise<number> {
  return await timed(clients, async (client, mayGoOn) => {
    if (!mayGoOn()) {
      return;
    }
    let lease = some(await claim(client));
    while (mayGoOn()) {
      lease = some(await finishAndClaim(client, lease));
    }
    await finish(client, lease);
  });
}

async function timed(
  clients: number,
  work: (client: number, mayGoOn: () => boolean) => Promise<void>,
): Promise<number> {
  let taken = 0;
  const mayGoOn = () => {
    taken += 1;
    return taken <= ROUND_TASKS;
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client, mayGoOn)));
  return (ROUND_TASKS * 1000) / (performance.now() - startedAt);
}

function some(lease: Lease | null): Lease {
  if (lease === null) {
    throw new Error("a client found nothing to claim: the queue became empty during a round");
  }
  return lease;
}

const NO_FILE = "null, null, '{}'";

/** The calls over direct connections, as prepared statements like those of graphile-worker. */
export function directCalls({ clients, workers }: Bed) {
  const ask = async (client: number, name: string, text: string, values: readonly unknown[]) => {
    const { rows } = await clients[client]!.query<{ answer: { task: Lease | null; outcome: string } }>({
      name,
      text: `select ${text} as answer`,
      values: [...values],
    });
    return rows[0]!.answer;
  };
  const claim: Claim = async (client) => (await ask(client, "claim", "claim_task($1)", [workers[client]])).task;
  const finish: Finish = async (client, lease) =>
    requireCompleted(
      await ask(client, "finish", `finish_task($1, $2, ${NO_FILE})`, [lease.task_id, lease.lease_token]),
    );
  const finishAndClaim: FinishAndClaim = async (client, lease) => {
    const both = `finish_and_claim($1, $2, ${NO_FILE})`;
    const answer = await ask(client, "finish_and_claim", both, [lease.task_id, lease.lease_token]);
    requireCompleted(answer);
    return answer.task;
  };
  return { claim, finish, finishAndClaim };
}

export function requireCompleted({ outcome }: { readonly outcome: string }): void {
  if (outcome !== "completed") {
    throw new Error(`a completion was answered ${outcome}`);
  }
}
