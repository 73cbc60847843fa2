import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createLightPodLauncher } from "../../src/simulator/light-pod.ts";
import { attackFromThread } from "../kit/security/hostile/from-thread.ts";
import { makeWorld, type World } from "../kit/security/hostile/world.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

const REQUESTS = Number(process.env["HOSTILE_REQUESTS"] ?? 50_000);
const SEED = Number(process.env["HOSTILE_SEED"] ?? 1);
const POLL_SEC = 5;
/** A claim of this length is no harm, however short the others are. */
const UNNOTICED_MS = 20;
const ALONE_MS = 15_000;
const HARMLESS_REQUESTS = 1_000;
const PAUSE_MS = 25;

let stack: TestStack;
let world: World;
beforeAll(async () => {
  const env = { ORCHESTRATOR_POLL_SEC: String(POLL_SEC) };
  stack = await startTestStack({ launch: createLightPodLauncher(), env });
  world = await makeWorld(stack);
  stack.startTemporalWorker();
  await stack.startPool();
});
afterAll(async () => await stack?.close());

async function decisionAgeSec(): Promise<number> {
  const [row] = await stack.rows<{ age: number | null }>(
    "select extract(epoch from clock_timestamp() - observed_at)::float8 as age from pools where name = $1",
    [stack.pool],
  );
  return row?.age ?? Infinity;
}

function p99(times: readonly number[]): number {
  return times.toSorted((one, other) => one - other)[Math.floor(times.length * 0.99)] ?? Infinity;
}

/** Times of the other tenant's claims in ms, one after the other, until the work is over. */
async function claimsDuring<T>(work: Promise<T>): Promise<{ readonly times: readonly number[]; readonly done: T }> {
  let isOver = false;
  const times: number[] = [];
  const claiming = async () => {
    while (!isOver) {
      times.push(await world.claim());
      await sleep(PAUSE_MS);
    }
  };
  const [done] = await Promise.all([work.finally(() => (isOver = true)), claiming()]);
  return { times, done };
}

it(`${REQUESTS} hostile requests over all doors harm nobody else (HOSTILE_SEED=${SEED})`, async () => {
  await expect.poll(decisionAgeSec).toBeLessThan(POLL_SEC);
  const { prey, callers, catalog } = world;
  const order = { prey, callers, catalog, api: stack.api, simulator: stack.simulator.url };
  const alone = await claimsDuring(sleep(ALONE_MS));
  const among = await claimsDuring(attackFromThread({ ...order, requests: HARMLESS_REQUESTS, seed: null }));
  const before = await world.possessions();

  let isOver = false;
  let oldestDecisionSec = 0;
  const watching = async () => {
    while (!isOver) {
      oldestDecisionSec = Math.max(oldestDecisionSec, await decisionAgeSec());
      await sleep(10 * PAUSE_MS);
    }
  };
  const attacking = claimsDuring(attackFromThread({ ...order, requests: REQUESTS, seed: SEED }));
  const [during] = await Promise.all([attacking.finally(() => (isOver = true)), watching()]);
  const { answers, faults } = during.done;

  const p99Ms = { alone: p99(alone.times), among: p99(among.times), during: p99(during.times) };
  const seen = { answers, p99Ms, claims: during.times.length, oldestDecisionSec };
  process.stdout.write(`${JSON.stringify(seen)}\n`);
  expect(faults.slice(0, 20)).toEqual([]);
  expect(Object.values(answers).reduce((sum, count) => sum + count, 0)).toBe(REQUESTS);
  expect(answers["4"]).toBeGreaterThan(REQUESTS / 3);
  expect(await world.possessions()).toBe(before);
  const claimsGoOn = p99Ms.during <= 3 * Math.max(p99Ms.alone, p99Ms.among, UNNOTICED_MS);
  const decisionsGoOn = oldestDecisionSec <= 2 * POLL_SEC;
  expect({ ...seen, claimsGoOn, decisionsGoOn }).toMatchObject({ claimsGoOn: true, decisionsGoOn: true });
});
