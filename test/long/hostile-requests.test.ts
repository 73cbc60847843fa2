import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createLightPodLauncher } from "../../src/simulator/light-pod.ts";
import { attack } from "../kit/security/hostile/attack.ts";
import { makeWorld, type World } from "../kit/security/hostile/world.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

const REQUESTS = Number(process.env["HOSTILE_REQUESTS"] ?? 50_000);
const SEED = Number(process.env["HOSTILE_SEED"] ?? 1);
const POLL_SEC = 5;
/** A claim of this length is no harm, however short the others are. */
const UNNOTICED_MS = 20;
const CLAIMS_ALONE = 300;
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

it(`${REQUESTS} hostile requests over all doors harm nobody else (HOSTILE_SEED=${SEED})`, async () => {
  await expect.poll(decisionAgeSec).toBeLessThan(POLL_SEC);
  const alone: number[] = [];
  for (let claims = 0; claims < CLAIMS_ALONE; claims += 1) {
    alone.push(await world.claim());
  }
  const before = await world.possessions();

  let isOver = false;
  const during: number[] = [];
  let oldestDecisionSec = 0;
  const claiming = async () => {
    while (!isOver) {
      during.push(await world.claim());
      await sleep(PAUSE_MS);
    }
  };
  const watching = async () => {
    while (!isOver) {
      oldestDecisionSec = Math.max(oldestDecisionSec, await decisionAgeSec());
      await sleep(10 * PAUSE_MS);
    }
  };
  const attacking = attack(stack, world, { requests: REQUESTS, seed: SEED }).finally(() => (isOver = true));
  const [{ answers, faults }] = await Promise.all([attacking, claiming(), watching()]);

  const seen = { answers, p99AloneMs: p99(alone), p99DuringMs: p99(during), claims: during.length, oldestDecisionSec };
  expect(faults.slice(0, 20)).toEqual([]);
  expect(Object.values(answers).reduce((sum, count) => sum + count, 0)).toBe(REQUESTS);
  expect(answers["4"]).toBeGreaterThan(REQUESTS / 3);
  expect(await world.possessions()).toBe(before);
  const claimsGoOn = seen.p99DuringMs <= 3 * Math.max(seen.p99AloneMs, UNNOTICED_MS);
  const decisionsGoOn = seen.oldestDecisionSec <= 2 * POLL_SEC;
  expect({ ...seen, claimsGoOn, decisionsGoOn }).toMatchObject({ claimsGoOn: true, decisionsGoOn: true });
});
