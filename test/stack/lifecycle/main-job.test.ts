import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { poolUpdates } from "../../../src/contract/pool-api.ts";
import { expectDoneOnce, expectNothingLeft, workerStates } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

describe("the main job", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack();
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack.close());

  it("grows from zero to the size that the queue needs, completes all tasks, and goes back to zero without leftovers", async () => {
    const ids = await stack.submit(7, { frames: 9, fps: 12, width: 96, height: 64 });
    await expect.poll(() => stack.rows("select 1 from tasks where status = 'Complete'")).toHaveLength(7);
    await expect.poll(() => stack.rows("select 1 from workers where gone_at is null")).toHaveLength(0);

    const workers = await stack.rows<{ status: string; cost_usd: string }>("select status, cost_usd from workers");
    expect(workers).toHaveLength(3);
    expect(workers.every(({ status, cost_usd }) => status === "terminated" && Number(cost_usd) > 0)).toBe(true);
    const ledger = stack.simulator.ledger();
    expect(ledger.totals).toMatchObject({ pods: 3, live: 0 });

    const tasks = await stack.rows<{ id: string; attempts: number; result_data: Record<string, unknown> }>(
      "select id, attempts, result_data from tasks",
    );
    expect(tasks.map(({ id }) => id).sort()).toEqual(ids.sort());
    const ffmpeg = await findFfmpeg(null);
    for (const { attempts, result_data } of tasks) {
      expect(attempts).toBe(1);
      const video = await probeVideo(String(result_data["video_url"]), ffmpeg);
      expect(video).toMatchObject({ codec: "h264", width: 96, height: 64, fps: 12, frames: 9 });
    }
  });

  it("scaled by latency takes a burst, silence and a trickle; a pool that lives switches to it and back", async () => {
    const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
    const reconfigure = async (patch: Readonly<Record<string, unknown>>) =>
      await pool.executeUpdate(poolUpdates.reconfigure, { args: [patch] });
    const submit = async (count: number) => await stack.submit(count, { frames: 9, fps: 12, width: 96, height: 64 });
    const before = (await workerStates(stack)).length;
    await reconfigure({ policy: "latency", waitValue: 0.3 });

    // By the threshold three would do.
    const burst = await submit(8);
    await expect.poll(async () => (await workerStates(stack)).length - before).toBe(4);
    await expectDoneOnce(stack, burst);
    await expectNothingLeft(stack);

    await expectDoneOnce(stack, await submit(1));
    const trickle = await submit(1);
    const after = await reconfigure({ policy: null, waitValue: null });
    expect(after.settings).toMatchObject({ own: [], values: { policy: "threshold" } });
    await expectDoneOnce(stack, trickle);
    await expectNothingLeft(stack);

    const reasons = await stack.rows<{ reason: string }>(
      "select reason from pool_events where kind = 'decision' and reason like '%WAIT_VALUE%' order by id",
    );
    const figures =
      /^\d+\.\d ± \d+\.\d at work in [\d.]+ s → \d+ wanted.*, at WAIT_VALUE 0\.3 \(boots [\d.]+ s, tasks 180 s until measured/;
    expect(reasons.map(({ reason }) => reason)).toContainEqual(expect.stringMatching(figures));
  });
});
