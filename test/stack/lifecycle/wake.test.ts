import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import type { ManagedProcess } from "../../../src/process/guardian.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

const SECRET = "s".repeat(32);

describe("a request to wake a pool", () => {
  let stack: TestStack;
  let worker: ManagedProcess;
  beforeAll(async () => {
    stack = await startTestStack({ env: { LOG_LEVEL: "warn" } });
    await stack.rows("select set_wake_secret($1)", [SECRET]);
    worker = stack.startTemporalWorker();
  });
  afterAll(() => stack?.close());

  const wake = async (pool: string) => {
    const answer = await fetch(`${stack.api}/functions/v1/orchestrator-wake`, {
      method: "POST",
      headers: { authorization: `Bearer ${SECRET}` },
      body: JSON.stringify({ pool }),
    });
    const { outcome } = (await answer.json()) as { outcome?: string };
    return `${answer.status} ${outcome}`;
  };
  /** Each opening of a pool makes a new version of its intent. */
  const pools = async () =>
    await stack.rows<{ name: string; mode: string; opened: number }>(
      "select name, mode, intent_version::int as opened from pools order by name",
    );
  const requests = async () => await stack.rows("select from wake_requests");
  const workflow = async (pool: string) =>
    (await stack.temporal.workflow.getHandle(poolWorkflowId(pool)).describe()).status.name;

  it("runs one cycle, however many ask, and changes the mode of no pool", async () => {
    await expect.poll(() => stack.rows("select from worker_processes")).toHaveLength(1);
    const named = (mode: string) => `${stack.pool}-${mode}`;
    const modes = ["closing", "draining", "normal", "paused"];
    for (const mode of modes) {
      // A request that came in time is not carried out for a pool that was shut down meanwhile.
      const before = mode === "closing" ? "normal" : mode;
      await stack.rows("insert into pools (name, mode) values ($1, $2)", [named(mode), before]);
    }
    // In one transaction: what asks after a cycle has begun would get another one.
    const asked = await stack.rows<{ outcome: string }>(
      "select request_wake($1, name) ->> 'outcome' as outcome from unnest($2::text[]) as name, generate_series(1, 10)",
      [SECRET, modes.map(named)],
    );
    expect(asked.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 40 }, () => "requested"));
    await stack.rows("update pools set mode = 'closing' where name = $1", [named("closing")]);
    expect(await wake(named("closing"))).toBe("200 shut_down");

    const woken = modes.map((mode) => ({ name: named(mode), mode, opened: 1 }));
    await expect.poll(pools).toEqual(woken);
    for (const mode of modes) {
      await expect.poll(() => workflow(named(mode))).toBe("COMPLETED");
    }
    await expect.poll(requests).toEqual([]);
    expect(await pools()).toEqual(woken);
    expect(await wake(named("normal"))).toBe("202 requested");
    await expect.poll(pools).toContainEqual({ name: named("normal"), mode: "normal", opened: 2 });
  });

  it("leaves a pool alone that runs without an end, whatever the database was told of it", async () => {
    await stack.rows("delete from pools where not should_run");
    await stack.startPool();
    await expect.poll(pools).toHaveLength(1);
    expect(await wake(stack.pool)).toBe("200 runs");
    const before = await pools();
    await stack.rows("insert into wake_requests (pool) values ($1)", [stack.pool]);
    await expect.poll(requests).toEqual([]);
    expect([await workflow(stack.pool), await pools()]).toEqual(["RUNNING", before]);
  });

  it("finds nobody once the process has stopped, which removes its sign of life at once", async () => {
    await worker.stop();
    expect(await stack.rows("select from worker_processes")).toEqual([]);
    expect(await wake(stack.pool)).toBe("503 undefined");
  });
});
