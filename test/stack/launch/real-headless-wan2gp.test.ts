import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATA_CENTER, layOutCheckout, makeVolume, realWorker } from "../../kit/headless-wan2gp/lay-out.ts";
import { doMixedQueue, EACH_ITS_OWN, MIXED_TASK_TYPES } from "../../kit/headless-wan2gp/mixed-queue.ts";
import { expectDoneOnce, expectNothingLeft } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

/*
 * The worker of its own repository. HEADLESS_WAN2GP_DIR: a checkout of the commit that docs/launch.md names;
 * HEADLESS_WAN2GP_PYTHON: an interpreter with supabase, httpx, requests, python-dotenv, pillow, numpy,
 * opencv-python-headless and psutil; default: the checkout's venv, or python3.
 */
const real = realWorker();
if ("missing" in real) {
  process.stderr.write(`skipped, the unmodified Headless-Wan2GP: ${real.missing}\n`);
}

const skipped = "missing" in real ? ` (skipped: ${real.missing})` : "";
describe.skipIf("missing" in real)(
  `the unmodified Headless-Wan2GP, but for torch, wgp.py and the model${skipped}`,
  () => {
    let stack: TestStack;
    beforeAll(async () => {
      stack = await startTestStack({
        env: { WORKER_PROFILE: "headless-wan2gp", HEADLESS_WAN2GP_ARGS: "--poll-interval 1" },
      });
      await stack.serve();
    });
    afterAll(async () => await stack?.close());

    it("boots by the start command from a volume, and its task becomes a video", async () => {
      const { checkout, python } = real as Exclude<typeof real, { missing: string }>;
      const { id, folder } = await makeVolume(stack);
      const modules = await layOutCheckout(folder, checkout, python);
      const volumeConfig = { networkVolumeId: id, dataCenterIds: [DATA_CENTER] };
      const workerEnv = [`PYTHONPATH=${modules}`];
      await stack.startPool({ config: { ...volumeConfig, workerEnv, workerTaskTypes: MIXED_TASK_TYPES } });
      const ids = await stack.submit(2, { video_length: 9, resolution: "64x64" });
      await expectDoneOnce(stack, ids);
      const rows = await stack.rows<{ output_location: string }>(
        "select output_location from tasks where id = any($1)",
        [ids],
      );
      for (const { output_location: address } of rows) {
        const video = Buffer.from(await (await fetch(address)).arrayBuffer());
        expect(video.subarray(4, 8).toString()).toBe("ftyp");
      }
      expect(rows).toHaveLength(2);
      await expectNothingLeft(stack);
    });

    it("works off one queue with a GPU worker of ours, each only what it can", async () => {
      expect(await doMixedQueue(stack)).toEqual(EACH_ITS_OWN);
      await expectNothingLeft(stack);
    });
  },
);
