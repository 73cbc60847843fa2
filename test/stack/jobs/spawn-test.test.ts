import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openConnections } from "../../../src/client/connections.ts";
import type { Context } from "../../../src/client/context.ts";
import { followJob, startJob } from "../../../src/client/jobs/run-job.ts";
import { runSpawnTest } from "../../../src/client/jobs/spawn-test.ts";
import { createOutput } from "../../../src/client/render/output.ts";
import { workerWorkflowId } from "../../../src/contract/names.ts";
import { runClient } from "../../kit/client.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

describe("the spawn test", () => {
  let stack: TestStack;
  let context: Context;
  beforeAll(async () => {
    stack = await startTestStack({ env: { MAX_HOURLY_SPEND_USD: "5", RUNPOD_WORKER_IMAGE: "somebody/gpu-worker:1" } });
    await stack.serve();
    const silent = { write: () => undefined };
    const output = createOutput({ stdout: silent, stderr: silent }, {});
    const connections = openConnections(stack.env);
    context = { env: stack.env, output, connections, stdin: process.stdin, failed: () => undefined };
  });
  afterAll(async () => {
    await context?.connections.close();
    await stack?.close();
  });

  const pods = () => stack.simulator.ledger().pods;

  it("rents one pod, which looks at network, GPU and storage from inside, and sees it gone", async () => {
    const doctor = await runClient(["doctor", "--spawn-test", "--yes", "--json"], {
      cwd: stack.directory,
      env: stack.env,
    });
    const { findings } = JSON.parse(doctor.stdout) as { findings: { check: string; state: string; detail: string }[] };
    expect(findings.filter(({ check }) => check.startsWith("pod: "))).toMatchObject([
      { check: "pod: network", state: "ok", detail: `${stack.api} takes this pod's reports` },
      { check: "pod: GPU", state: "ok", detail: "Simulated GPU, 24564 MiB" },
      { check: "pod: container disk", state: "ok" },
    ]);
    const [pod] = pods();
    expect(findings.at(-1)).toMatchObject({
      check: "spawn test",
      state: "ok",
      detail: expect.stringMatching(`^pod ${pod?.name} did all it had to, is deleted and seen gone, cost \\$0.0\\d+$`),
    });
    expect(pods()).toMatchObject([{ endCause: "deleted" }]);
  });

  it("says what is wrong: a volume that nobody prepared", async () => {
    const env = { ...stack.env, WORKER_PROFILE: "headless-wan2gp", RUNPOD_STORAGE_NAME: "wan" };
    await expect(runSpawnTest({ ...context, env }, stack.pool, { yes: true })).rejects.toThrow(
      "no network volume is named wan",
    );
    expect(pods()).toHaveLength(1);
  });

  it("goes on by the janitor after its workflow was terminated, and the pod is gone", async () => {
    const id = await startJob(context, stack.pool, {
      purpose: "spawn-test",
      settings: {},
      variables: {},
      timeoutSec: 600,
      gpuType: "NVIDIA GeForce RTX 4090",
      priceUsdPerHour: 0.69,
    });
    await expect.poll(() => pods().map(({ name }) => name)).toContain(id);
    await expect
      .poll(() => stack.rows("select pod_id from workers where id = $1 and pod_id is not null", [id]))
      .toHaveLength(1);
    await stack.temporal.workflow.getHandle(workerWorkflowId(stack.pool, id)).terminate("killed by the test");
    const janitor = await runClient(["janitor", "--json"], { cwd: stack.directory, env: stack.env });
    expect(JSON.parse(janitor.stdout)).toMatchObject({
      workers: { findings: expect.arrayContaining([expect.objectContaining({ worker: id, verdict: "start" })]) },
    });
    const { result, record } = await followJob(context, stack.db, { pool: stack.pool, id }, () => undefined);
    expect(result).toEqual({ id, state: "done", reason: null });
    expect(record?.workers).toMatchObject({ status: "terminated" });
    expect(pods().map(({ endCause }) => endCause)).toEqual(["deleted", "deleted"]);
  });

  it("rents nothing where the ceiling of the account does not allow it", async () => {
    await stack.rows(
      `insert into workers (id, pool, status, pod_id, cost_per_hr_usd, pod_created_at, post_state)
       values ($1 || '-0a1b2c3d', $1, 'active', 'x', 4.9, now(), 'posted')`,
      [stack.pool],
    );
    const test = await runSpawnTest(context, stack.pool, { yes: true });
    expect(test).toMatchObject({ state: "refused", reason: expect.stringContaining("of at most $5"), checks: [] });
    expect(pods()).toHaveLength(2);
  });
});
