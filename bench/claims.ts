import { addMillion, type Bed, CLIENTS, settle, startServer } from "./claims/bed.ts";
import { compare, compete } from "./claims/contest.ts";
import { graphileRound, installGraphile } from "./claims/graphile.ts";
import { createPlainTable, insertBatches, insertSingles } from "./claims/inserts.ts";
import { httpCalls } from "./claims/over-http.ts";
import { directCalls, LEFT_QUEUED, ROUND_TASKS, workInOneCall, workInTwoCalls } from "./claims/work.ts";
import type { Figure } from "./figure.ts";

export const description = `Claims and completions per second by ${CLIENTS} clients, beside graphile-worker 0.17.3`;

const PEER = "graphile-worker";
const TWO_CALLS = "claim_task, finish_task";
const ONE_CALL = "finish_and_claim";
const MILLION = "a million queued";
const THOUSAND = "a thousand queued";

/** Every comparison alternates with its peer on one Postgres server, round by round. */
export async function run(): Promise<Figure[]> {
  const server = await startServer();
  try {
    const bed = await server.newBed("bench");
    await installGraphile(bed);
    await createPlainTable(bed);
    const { claim, finish, finishAndClaim } = directCalls(bed);
    const ready = async (here: Bed, left = LEFT_QUEUED) => {
      await here.fill(left + ROUND_TASKS);
      await settle(here);
    };
    const twoCalls = async () => {
      await ready(bed);
      return await workInTwoCalls(CLIENTS, claim, finish);
    };
    const throughput = await compete(
      [
        { name: PEER, round: () => graphileRound(bed) },
        { name: TWO_CALLS, round: twoCalls },
        {
          name: ONE_CALL,
          round: async () => {
            await ready(bed);
            return await workInOneCall(CLIENTS, claim, finishAndClaim, finish);
          },
        },
      ],
      5,
    );

    const api = await httpCalls(server, bed);
    const http = await compete(
      [
        { name: "the same, direct", round: twoCalls },
        {
          name: "through PostgREST",
          round: async () => {
            await ready(bed);
            return await workInTwoCalls(CLIENTS, api.claim, api.finish);
          },
        },
      ],
      3,
    );
    await api.close();

    const inserts = await compete(
      [
        { name: "inserts of 100 rows", round: () => insertBatches(bed, "tasks") },
        { name: "of 100 into a plain table", round: () => insertBatches(bed, "plain_tasks") },
        { name: "inserts of one row", round: () => insertSingles(bed, "tasks") },
        { name: "of one into a plain table", round: () => insertSingles(bed, "plain_tasks") },
      ],
      5,
    );

    const full = await server.newBed("million");
    await addMillion(full);
    await full.sql.query("checkpoint");
    const there = directCalls(full);
    const size = await compete(
      [
        { name: THOUSAND, round: twoCalls },
        {
          name: MILLION,
          round: async () => {
            await ready(full, 1_000_000);
            return await workInTwoCalls(CLIENTS, there.claim, there.finish);
          },
        },
      ],
      5,
    );
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
