import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolQueries, poolSignals } from "../../../src/contract/pool-api.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { countAlerts, countEvents, expectNothingLeft, livingWorkers } from "../../kit/lifecycle.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

describe("a provider that gives no pod", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({
      launch: createLightPodLauncher(),
      env: {
        MAX_ACTIVE_GPUS: "9",
        NO_FUNDS_PROBE_MINUTES: "0.05",
        MIN_WORKERS_FOR_RATE_CHECK: "1",
        PLACEMENT_COOLDOWN_SEC: "2",
        ORCHESTRATOR_POLL_SEC: "1",
      },
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

  it("for lack of funds is asked once, and then by one worker at a time; when it has funds again, the pool grows", async () => {
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

  it("a provider without a machine in any place: one alert says which refuse; when it has some again, the pool grows", async () => {
    const posted = posts().length;
    stack.simulator.changeMarket({ availability: "NONE", shown: "HIGH" });
    await hold(1);
    await expect.poll(openAlerts).toEqual(["no_placement"]);
    // One worker waits. As many as are wanted would only ask the same places.
    await hold(9);
    await expect
      .poll(async () => (await pool().query(poolQueries.status)).snapshot)
      .toMatchObject({ rule: "placement", desired: 1, breaker: "closed" });
    expect(await statuses()).toEqual(["spawning"]);
    // 72, 60, 48 and 32 GB were asked for in turn, without a pause.
    const times = posts()
      .slice(posted, posted + 4)
      .map(({ timeMs }) => timeMs);
    expect(Math.max(...times.slice(1).map((at, index) => at - times[index]!))).toBeLessThan(1_000);
    const [alert] = await stack.rows<{ message: string }>("select message from alerts where kind = 'no_placement'");
    expect(alert?.message).toContain("every place that can be asked refuses (4), although the catalog shows stock");

    stack.simulator.resetMarket();
    await expect.poll(statuses).toEqual(Array(9).fill("active"));
    await expect.poll(openAlerts).toEqual([]);
    expect(await countAlerts(stack, "no_placement")).toBe(1);
    await hold(0);
    await expectNothingLeft(stack);
  });
});
