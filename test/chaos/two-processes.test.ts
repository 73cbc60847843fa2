import { afterAll, beforeAll, expect, it } from "vitest";
import { poolUpdates } from "../../src/contract/pool-api.ts";
import { poolWorkflowId } from "../../src/contract/names.ts";
import { createLightPodLauncher } from "../../src/simulator/light-pod.ts";
import { expectNothingLeft } from "../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { expectDecidedOnce, killInTurn, longestGapsSec, POLL_SEC, TWO_PROCESSES } from "../kit/two-processes.ts";

const KILLS = 8;

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack({ env: TWO_PROCESSES, launch: createLightPodLauncher() });
});
afterAll(() => stack?.close());

it("two processes that are ended in turn decide nothing twice, and no decision is later than two ORCHESTRATOR_POLL_SEC", async () => {
  const t = performance.now();
  const stops = await killInTurn(stack, KILLS);
  console.log(performance.now() - t, stops, await longestGapsSec(stack));
  expect(stops.filter(({ code }) => code !== 0)).toEqual([]);
  expect((await longestGapsSec(stack))[0]).toBeLessThan(2 * POLL_SEC);
  const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  await pool.executeUpdate(poolUpdates.shutdown);
  await pool.result();
  await expectNothingLeft(stack);
  await expectDecidedOnce(stack);
});
