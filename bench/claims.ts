import { addMillion, type Bed, CLIENTS, type Server, settle, startServer } from "./claims/bed.ts";
import { compare, compete } from "./claims/contest.ts";
import { graphileRound, installGraphile } from "./claims/graphile.ts";
import { createPlainTable, insertBatches, insertSingles } from "./claims/inserts.ts";
import { httpCalls } from "./claims/over-http.ts";
import {
  type Claim,
  directCalls,
  type Finish,
  LEFT_QUEUED,
  ROUND_TASKS,
  workInOneCall,
  workInTwoCalls,
} from "./claims/work.ts";
import type { Figure } from "./figure.ts";

export const description = `Claims and completions per second by ${CLIENTS} clients, beside graphile-worker 0.17.3`;

const PEER = "graphile-worker";
const TWO_CALLS = "claim_task, finish_task";
const ONE_CALL = "finish_and_claim";
const MILLION = "a million queued";
const THOUSAND = "a thousand queued";

type Rates = Awaited<ReturnType<typeof compete>>;

/** Every comparison alternates with its peer on one Postgres server, round by round. */
export async function run(): Promise<Figure[]> {
  const server = await startServer();
  try {
    const bed = await server.newBed("bench");
    await installGraphile(bed);
    await createPlainTable(bed);
    const throughput = await measureThroughput(bed);
    const http = await measureHttp(server, bed);
    const inserts = await measureInserts(bed);
    const size = await measureSize(server, bed);
    return [
      compare(throughput, [TWO_CALLS, PEER], "tasks/s", 1),
      compare(throughput, [ONE_CALL, PEER], "tasks/s", 1.2),
      compare(size, [MILLION, THOUSAND], "tasks/s", 0.9),
      compare(http, ["through PostgREST", "the same, direct"], "tasks/s"),
      compare(inserts, ["inserts of 100 rows", "of 100 into a plain table"], "rows/s"),
      compare(inserts, ["inserts of one row", "of one into a plain table"], "rows/s"),
    ];
  } finally {
    await server.close();
  }
}

async function prepare(bed: Bed, left = LEFT_QUEUED): Promise<void> {
  await bed.fill(left + ROUND_TASKS);
  await settle(bed);
}

async function roundOfTwoCalls(bed: Bed, calls: { claim: Claim; finish: Finish }, left?: number): Promise<number> {
  await prepare(bed, left);
  return await workInTwoCalls(CLIENTS, calls.claim, calls.finish);
}

async function measureThroughput(bed: Bed): Promise<Rates> {
  const calls = directCalls(bed);
  return await compete(
    [
      { name: PEER, round: () => graphileRound(bed) },
      { name: TWO_CALLS, round: () => roundOfTwoCalls(bed, calls) },
      {
        name: ONE_CALL,
        round: async () => {
          await prepare(bed);
          return await workInOneCall(CLIENTS, calls.claim, calls.finishAndClaim, calls.finish);
        },
      },
    ],
    5,
  );
}

async function measureHttp(server: Server, bed: Bed): Promise<Rates> {
  const direct = directCalls(bed);
  const api = await httpCalls(server, bed);
  const rates = await compete(
    [
      { name: "the same, direct", round: () => roundOfTwoCalls(bed, direct) },
      { name: "through PostgREST", round: () => roundOfTwoCalls(bed, api) },
    ],
    3,
  );
  await api.close();
  return rates;
}

async function measureInserts(bed: Bed): Promise<Rates> {
  return await compete(
    [
      { name: "inserts of 100 rows", round: () => insertBatches(bed, "tasks") },
      { name: "of 100 into a plain table", round: () => insertBatches(bed, "plain_tasks") },
      { name: "inserts of one row", round: () => insertSingles(bed, "tasks") },
      { name: "of one into a plain table", round: () => insertSingles(bed, "plain_tasks") },
    ],
    5,
  );
}

async function measureSize(server: Server, small: Bed): Promise<Rates> {
  const full = await server.newBed("million");
  await addMillion(full);
  await full.sql.query("checkpoint");
  const [fewQueued, millionQueued] = [directCalls(small), directCalls(full)];
  return await compete(
    [
      { name: THOUSAND, round: () => roundOfTwoCalls(small, fewQueued) },
      { name: MILLION, round: () => roundOfTwoCalls(full, millionQueued, 1_000_000) },
    ],
    5,
  );
}
