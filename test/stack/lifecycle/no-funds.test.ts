import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolQueries, poolSignals } from "../../../src/contract/pool-api.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { countAlerts, countEvents, expectNothingLeft, livingWorkers } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

describe("an account without funds", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({
      env: { MAX_ACTIVE_GPUS: "9", NO_FUNDS_PROBE_MINUTES: "0.05", MIN_WORKERS_FOR_RATE_CHECK: "1" },
      simulator: { noFundsStatus: 402 },
    });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const pool = () => stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  const hold = async (target: number) => await pool().signal(poolSignals.scale, { target });
  const posts = () =>
    stack.simulator.requests().filter(({ method, path }) => method === "POST" && path.endsWith("/pods"));
  const statuses = async () => (await livingWorkers(stack)).map(({ status }) => status);
  const openAlerts = async () =>
    (await stack.rows<{ kind: string }>("select kind from alerts where closed_at is null")).map(({ kind }) => kind);

  it("is asked once, and then by one worker at a time; when it has funds again, the pool grows", async () => {
    await hold(9);
    await expect.poll(openAlerts).toEqual(["no_funds"]);
    await expect.poll(async () => (await livingWorkers(stack)).length).toBe(0);
    const [first] = posts();
    expect(posts().filter(({ timeMs }) => timeMs < first!.timeMs + 3_000)).toHaveLength(1);
    const reason = expect.stringContaining("no funds in the account since") as string;
    await expect
      .poll(async () => (await pool().query(poolQueries.status)).snapshot)
      .toMatchObject({ rule: "funds", breaker: "closed", reason });

    // Each status in which the provider may say it.
    for (const noFundsStatus of [400, 500] as const) {
      const before = posts().length;
      stack.simulator.configure({ noFundsStatus });
      await expect.poll(() => posts().length).toBeGreaterThan(before);
    }
    const times = posts().map(({ timeMs }) => timeMs);
    const pauses = times.slice(1).map((at, index) => at - times[index]!);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(2_900);
    expect(await openAlerts()).toEqual(["no_funds"]);
    expect(stack.simulator.ledger().pods).toEqual([]);

    stack.simulator.configure({ noFundsStatus: null });
    await expect.poll(statuses).toEqual(Array(9).fill("active"));
    expect(await openAlerts()).toEqual([]);
    expect(await countAlerts(stack, "no_funds")).toBe(1);
    expect(await countEvents(stack, "breaker.open")).toBe(0);
    await hold(0);
    await expectNothingLeft(stack);
  });
});
