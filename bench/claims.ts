import {
  addForeign,
  addMillion,
  ALL_TYPES,
  type Bed,
  CLIENTS,
  type Server,
  settle,
  startServer,
  stateTypes,
} from "./claims/bed.ts";
import { compare, compete } from "./claims/contest.ts";
import { graphileRound, installGraphile } from "./claims/graphile.ts";
import { idleWalBytes, pollIdle, selectOne } from "./claims/idle.ts";
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
const ALL_STATED = "the same, all types stated";
const BEHIND = "behind 100,000 of other types";
const FOREIGN = 100_000;

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
    const types = await measureTypes(server, bed);
    const size = await measureSize(server, bed);
    const idle = await measureIdle(server);
    return [
      compare(throughput, [TWO_CALLS, PEER], "tasks/s", 0.85),
      compare(throughput, [ONE_CALL, PEER], "tasks/s", 1.1),
      compare(throughput, [ALL_STATED, TWO_CALLS], "tasks/s", 0.9),
      compare(types, [BEHIND, "in front of none"], "tasks/s", 0.5),
      compare(size, [MILLION, THOUSAND], "tasks/s", 0.9),
      compare(http, ["through PostgREST", "the same, direct"], "tasks/s"),
      compare(inserts, ["inserts of 100 rows", "of 100 into a plain table"], "rows/s", 0.25),
      compare(inserts, ["inserts of one row", "of one into a plain table"], "rows/s", 0.3),
      compare(idle.rates, ["a claim that finds nothing", "select 1"], "polls/s", 0.5),
      idle.written,
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
      {
        name: ALL_STATED,
        round: async () => {
          await stateTypes(bed, ALL_TYPES);
          const rate = await roundOfTwoCalls(bed, calls);
          await stateTypes(bed, null);
          return rate;
        },
      },
    ],
    5,
  );
}

/** Workers that can do every type but one, behind many tasks of that one, beside workers that never said what they can do. */
async function measureTypes(server: Server, small: Bed): Promise<Rates> {
  const bed = await server.newBed("types");
  await addForeign(bed, FOREIGN);
  await stateTypes(bed, ALL_TYPES);
  const [unfiltered, filtered] = [directCalls(small), directCalls(bed)];
  return await compete(
    [
      { name: "in front of none", round: () => roundOfTwoCalls(small, unfiltered) },
      { name: BEHIND, round: () => roundOfTwoCalls(bed, filtered, FOREIGN + LEFT_QUEUED) },
    ],
    3,
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

async function measureIdle(server: Server): Promise<{ rates: Rates; written: Figure }> {
  const bed = await server.newBed("idle");
  const rates = await compete(
    [
      { name: "a claim that finds nothing", round: () => pollIdle(bed) },
      { name: "select 1", round: () => selectOne(bed) },
    ],
    5,
  );
  await bed.sql.query("alter system set autovacuum = off");
  await bed.sql.query("select pg_reload_conf()");
  const value = await idleWalBytes(bed);
  return {
    rates,
    written: {
      name: "a thousand claims that find nothing write",
      value,
      unit: "bytes",
      peer: { name: "the limit", value: 0 },
      ratio: value === 0 ? 1 : Number.POSITIVE_INFINITY,
      betterIs: "lower",
      limit: { on: "value", bound: 0 },
      ok: value === 0,
    },
  };
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
