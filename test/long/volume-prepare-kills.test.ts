import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { launchClient, runClient } from "../kit/client.ts";
import { layOutStandIns, startWeightServer, type WeightServer } from "../kit/headless-wan2gp/stand-ins.ts";
import { killHard } from "../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

const MINUTES_MS = 15 * 60_000;
/** What exists on the volume as soon as a step was reached, in the order of the steps. */
const REACHED = [
  ".gpu-pool",
  ".gpu-pool/code.done",
  ".gpu-pool/venv.done",
  ".gpu-pool/packages-tools.done",
  ".gpu-pool/packages-torch.done",
  ".gpu-pool/packages-wan2gp.done",
  ".gpu-pool/packages-worker.done",
  "Headless-Wan2GP/Wan2GP/ckpts/high_quanto_mbf16_int8.safetensors",
  "Headless-Wan2GP/Wan2GP/ckpts/text-encoder-of-t2v_2_2",
  ".gpu-pool/manifest.json",
] as const;

describe("a preparation that is killed again and again", () => {
  let stack: TestStack;
  let weights: WeightServer;
  let standIns: string;
  let temporalWorker: ManagedProcess;
  beforeAll(async () => {
    weights = await startWeightServer();
    standIns = await mkdtemp(join(tmpdir(), "stand-ins-"));
    const settings = await layOutStandIns(standIns, weights);
    stack = await startTestStack({
      env: {
        ...settings,
        WORKER_PROFILE: "headless-wan2gp",
        RUNPOD_STORAGE_NAME: "wan",
        VOLUME_PREPARE_TIMEOUT_SEC: "600",
      },
    });
    temporalWorker = stack.startTemporalWorker();
  });
  afterAll(async () => {
    await stack?.close();
    weights?.close();
    await rm(standIns, { recursive: true, force: true });
  });

  const options = () => ({ cwd: stack.directory, env: stack.env });
  const isThere = (path: string) => existsSync(join(stack.simulator.volumes()[0]?.folder ?? "/nowhere", path));
  const living = () =>
    stack.rows<{ id: string; pod_id: string | null }>("select id, pod_id from workers where gone_at is null");
  const settled = { timeout: 180_000, interval: 200 };

  async function expectNothingLeft(): Promise<void> {
    await expect.poll(living, settled).toEqual([]);
    const { pods } = stack.simulator.ledger();
    expect(pods.filter(({ endCause }) => endCause === null)).toEqual([]);
    const names = pods.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  }

  it("leaves no pod, wherever the pod is killed, and is complete in the end", { timeout: MINUTES_MS }, async () => {
    for (const path of REACHED) {
      const command = runClient(["volume", "prepare", "--yes", "--json"], options());
      let isOver = false;
      void command.finally(() => (isOver = true));
      await expect.poll(() => isThere(path) || isOver, { ...settled, interval: 20 }).toBe(true);
      for (const { pod_id: pod } of await living()) {
        await fetch(`${stack.simulator.url}/_sim/pods/${pod}/kill`, { method: "POST" });
      }
      await command;
      await expectNothingLeft();
    }
    expect((await runClient(["volume", "prepare", "--yes"], options())).exitCode).toBe(0);
    expect((await runClient(["volume", "check"], options())).exitCode).toBe(0);
    await expectNothingLeft();
  });

  it(
    "goes on without its command and its Temporal worker, wherever they are killed",
    { timeout: MINUTES_MS },
    async () => {
      for (const reached of ["true", "w.pod_id is not null", "w.status = 'active'"]) {
        await rm(join(stack.simulator.volumes()[0]?.folder ?? "", ".gpu-pool"), { recursive: true });
        const command = launchClient(["volume", "prepare", "--yes"], options());
        const job = `select j.state from pod_jobs j join workers w on w.id = j.worker_id where w.gone_at is null and ${reached}`;
        await expect.poll(() => stack.rows(job), { ...settled, interval: 20 }).toHaveLength(1);
        command.kill("SIGKILL");
        await killHard(temporalWorker);
        await command;
        temporalWorker = stack.startTemporalWorker();
        await expectNothingLeft();
      }
      // A create request without an answer is never sent again, so the first of the three may have ended without a pod.
      const ends = await stack.rows<{ state: string }>("select state from pod_jobs order by ended_at desc limit 2");
      expect(ends).toEqual([{ state: "done" }, { state: "done" }]);
      expect((await runClient(["volume", "prepare", "--yes"], options())).exitCode).toBe(0);
    },
  );
});
