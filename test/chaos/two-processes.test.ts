import { afterAll, beforeAll, expect, it } from "vitest";
import { poolUpdates } from "../../src/contract/pool-api.ts";
import { poolWorkflowId, workerWorkflowId } from "../../src/contract/names.ts";
import { createLightPodLauncher } from "../../src/simulator/light-pod.ts";
import { expectNothingLeft, holdProcessEnds, workerStates } from "../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { expectDecidedOnce, killInTurn, longestGapsSec, POLL_SEC, TWO_PROCESSES } from "../kit/two-processes.ts";

/** test/long/two-processes.test.ts has more. */
const KILLS = 2;
/** Longer than activities may go on by themselves after a signal to stop. */
const SLOW_ANSWER_MS = 6_000;

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack({ env: TWO_PROCESSES, launch: createLightPodLauncher() });
});
afterAll(() => stack?.close());

it("two processes that end in turn decide nothing twice, and no decision is later than two ORCHESTRATOR_POLL_SEC; told to stop, they wait for a pod that is being created; told again, one ends at once", async () => {
  const { serving, stops } = await killInTurn(stack, KILLS);
  expect(stops.filter(({ code }) => code !== 0)).toEqual([]);
  expect((await longestGapsSec(stack))[0]).toBeLessThan(2 * POLL_SEC);

  // A name whose process was killed in mid-request is looked for until then.
  const settled = async () => (await workerStates(stack)).every(({ gone, status }) => gone || status === "active");
  await expect.poll(settled).toBe(true);
  stack.simulator.addFault({ on: "create", kind: "late", afterMs: SLOW_ANSWER_MS });
  await stack.rows("select pool_set_intent($1, 'scale', null, 4)", [stack.pool]);
  const posting = async () => (await workerStates(stack)).find(({ post_state }) => post_state === "posting");
  await expect.poll(posting, { interval: 50 }).toBeDefined();
  const slow = await posting();
  for (const { pid } of serving) {
    process.kill(pid, "SIGTERM");
  }
  expect(await Promise.all(serving.map(({ exited }) => exited))).toMatchObject([{ code: 0 }, { code: 0 }]);
  const answered = (await workerStates(stack)).find(({ id }) => id === slow?.id);
  expect(answered).toMatchObject({ post_state: "posted", pod_id: expect.any(String) });
  // The janitor may have recorded the pod, which its list shows, before the answer came. The request was answered all the same.
  const { events } = await stack.temporal.workflow
    .getHandle(workerWorkflowId(stack.pool, slow?.id ?? ""))
    .fetchHistory();
  const isOf = (type: string) => events?.some((event) => Object.hasOwn(event, `activityTask${type}EventAttributes`));
  expect(["Completed", "Failed", "TimedOut"].map(isOf)).toEqual([true, false, false]);

  const lines: string[] = [];
  const last = stack.startTemporalWorker((line) => void lines.push(line), { LOG_LEVEL: "info" });
  const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  await pool.executeUpdate(poolUpdates.shutdown);
  await pool.result();
  await expectNothingLeft(stack);
  await expectDecidedOnce(stack);

  const letGo = await holdProcessEnds(stack);
  try {
    process.kill(last.pid, "SIGTERM");
    await expect.poll(() => lines.some((line) => line.includes('"state":"STOPPING"'))).toBe(true);
    process.kill(last.pid, "SIGTERM");
    expect(await last.exited).toMatchObject({ code: null, signal: "SIGTERM" });
  } finally {
    await letGo();
  }
});
