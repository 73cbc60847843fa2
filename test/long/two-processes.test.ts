import { afterAll, beforeAll, expect, it } from "vitest";
import { expectDoneOnce, expectNothingLeft } from "../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { expectDecidedOnce, killInTurn, longestGapsSec, POLL_SEC, TWO_PROCESSES } from "../kit/two-processes.ts";

const KILLS = 20;

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack({ env: { ...TWO_PROCESSES, TASK_STUCK_TIMEOUT_SEC: "40", GPU_IDLE_TIMEOUT_SEC: "40" } });
});
afterAll(() => stack?.close());

it("invariant 1: two processes that end twenty times in turn, while GPU workers work, lose no task and do nothing twice", async () => {
  const ids = await stack.submit(30, { frames: 60 });
  const { stops } = await killInTurn(
    stack,
    KILLS,
    async () => void ids.push(...(await stack.submit(2, { frames: 60 }))),
  );
  expect(stops.filter(({ code }) => code !== 0)).toEqual([]);
  expect((await longestGapsSec(stack))[0]).toBeLessThan(2 * POLL_SEC);
  await stack.rows("select pool_set_intent($1, 'scale', null, null, null, true)", [stack.pool]);
  await expectDoneOnce(stack, ids);
  await expectNothingLeft(stack);
  await expectDecidedOnce(stack);
});
