import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFfmpeg } from "../../../src/gpu-worker/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/probe-video.ts";
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
});
