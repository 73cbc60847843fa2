import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deploymentOf } from "../../../src/contract/deployment.ts";
import { FAILURES } from "../../../src/contract/failures.ts";
import { poolWorkflowId, workerWorkflowId } from "../../../src/contract/names.ts";
import { poolUpdates } from "../../../src/contract/pool-api.ts";
import type { ManagedProcess } from "../../../src/process/guardian.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { runClient } from "../../kit/client.ts";
import { createPodByHand, expectNothingLeft, livingWorkers } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

/** Two databases, each a deployment of its own, with one Temporal namespace and one account of the provider. */
let ours: TestStack;
let theirs: TestStack;
let namesOfOurs: Record<string, string>;
/** The Temporal worker of ours. */
let process: ManagedProcess;

beforeAll(async () => {
  const launch = createLightPodLauncher();
  ours = await startTestStack({ launch });
  const { apiUrl, apiKey } = ours.simulator;
  theirs = await startTestStack({ launch, env: { RUNPOD_API_URL: apiUrl, RUNPOD_API_KEY: apiKey } });
  namesOfOurs = { GPU_POOL: ours.pool, TEMPORAL_TASK_QUEUE: ours.config.temporal.taskQueue };
});

afterAll(async () => {
  await theirs?.close();
  await ours?.close();
});

async function hold(stack: TestStack, target: number | null): Promise<void> {
  const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  await pool.executeUpdate(poolUpdates.scale, { args: [{ target }] });
}

async function untilActive(stack: TestStack, count: number): Promise<void> {
  await expect
    .poll(async () => (await livingWorkers(stack)).filter(({ status }) => status === "active").length)
    .toBe(count);
}

async function memoOf(stack: TestStack, workflowId: string): Promise<string | null> {
  return deploymentOf((await stack.temporal.workflow.getHandle(workflowId).describe()).memo);
}

/** Pods of both deployments that live at the provider. */
function livePods(...stacks: readonly TestStack[]): string[] {
  const live = ours.simulator.ledger().pods.filter(({ live: isLive }) => isLive);
  return live.filter(({ name }) => stacks.some(({ pool }) => name.startsWith(pool))).map(({ id }) => id);
}

/** The pool and the deployment that each pod of the account has in its environment. */
async function marks(): Promise<string[]> {
  const { apiUrl, apiKey } = ours.simulator;
  const headers = { authorization: `Bearer ${apiKey}`, "user-agent": "test" };
  const { pods } = (await (await fetch(`${apiUrl}/pods`, { headers })).json()) as {
    pods: { env: NodeJS.ProcessEnv }[];
  };
  return pods.map(({ env }) => `${env["GPU_POOL"]} ${env["GPU_POOL_DEPLOYMENT"]}`);
}

describe("two deployments in one namespace and one account", () => {
  it("work side by side when their task queues and pools are named apart", async () => {
    process = ours.startTemporalWorker();
    theirs.startTemporalWorker();
    await Promise.all([ours.startPool(), theirs.startPool()]);
    await Promise.all([hold(ours, 2), hold(theirs, 1)]);
    await Promise.all([untilActive(ours, 2), untilActive(theirs, 1)]);
    expect([livePods(ours).length, livePods(theirs).length]).toEqual([2, 1]);

    expect(new Set(await marks())).toEqual(
      new Set([`${ours.pool} ${ours.deployment}`, `${theirs.pool} ${theirs.deployment}`]),
    );
    const [worker] = await livingWorkers(theirs);
    expect(await memoOf(theirs, poolWorkflowId(theirs.pool))).toBe(theirs.deployment);
    expect(await memoOf(theirs, workerWorkflowId(theirs.pool, worker?.id ?? ""))).toBe(theirs.deployment);

    await hold(theirs, 0);
    await expect.poll(() => livingWorkers(theirs)).toEqual([]);
    expect([livePods(ours).length, livePods(theirs).length]).toEqual([2, 0]);
  });

  it("are kept apart when they have the same names: the second is refused, and nothing of the first is touched", async () => {
    const before = await ours.rows("select id, status from workers order by id");
    const lines: string[] = [];
    const second = theirs.startTemporalWorker((line) => lines.push(line), namesOfOurs);
    expect(await second.exited).toMatchObject({ code: 1 });
    const said = lines.join("\n");
    expect(said).toContain(`belongs to deployment ${ours.deployment}`);
    expect(said).toContain(`the database of this process is deployment ${theirs.deployment}`);
    expect(said).toMatch(/TEMPORAL_TASK_QUEUE and pool names \(GPU_POOL\) of its own/);
    expect(await ours.rows("select id, status from workers order by id")).toEqual(before);
    expect(await theirs.rows("select name from pools where name = $1", [ours.pool])).toEqual([]);
    const alerts = "select subject, closed_at from alerts where kind = 'deployment_conflict'";
    expect(await theirs.rows(alerts)).toEqual([{ subject: ours.config.temporal.taskQueue, closed_at: null }]);
    expect(await ours.rows(alerts)).toEqual([]);
  });

  it("are told apart by commands, which give no order to a pool of another deployment", async () => {
    const run = (...args: string[]) =>
      runClient([...args, "--pool", ours.pool], { cwd: tmpdir(), env: { ...theirs.env, NO_COLOR: "1" } });
    const belongs = `workflow gpu-pool/${ours.pool} belongs to deployment ${ours.deployment}`;
    for (const args of [["scale", "0"], ["config"]]) {
      const { exitCode, stderr } = await run(...args);
      expect({ args, exitCode: exitCode === 0, stderr }).toEqual({
        args,
        exitCode: false,
        stderr: expect.stringContaining(belongs),
      });
    }
    expect(await run("pool", "start")).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(belongs) });
    expect((await run("status")).stdout).toContain(`belongs to deployment ${ours.deployment}`);
    await untilActive(ours, 2);
  });

  it("get an id that the operator can give to a database made anew, or take from a copy", async () => {
    const run = (...args: string[]) => runClient(["db", "deployment", ...args], { cwd: tmpdir(), env: theirs.env });
    expect(await run("--set", ours.deployment)).toMatchObject({ exitCode: 0, stdout: ours.deployment });
    const { stdout } = await run("--new");
    expect(stdout).toMatch(/^[0-9a-f-]{36}$/);
    expect([ours.deployment, theirs.deployment]).not.toContain(stdout);
    expect(await run("--set", "ours")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("a UUID") });
    expect(await run("--set", theirs.deployment)).toMatchObject({ exitCode: 0 });
    expect(await run()).toMatchObject({ stdout: theirs.deployment });
  });

  it("invariant 14: leave the pods of the other alone, though a copied row names one of them", async () => {
    const [pod = ""] = livePods(ours);
    await theirs.rows(
      `insert into workers (id, pool, status, origin, pod_id, post_state, pod_created_at, created_at)
       values ($1 || '-0a1b2c3d', $1, 'active', 'pool', $2, 'posted', now(), now())`,
      [theirs.pool, pod],
    );
    const pool = theirs.temporal.workflow.getHandle(poolWorkflowId(theirs.pool));
    const args = [{ worker: `${theirs.pool}-0a1b2c3d` }] as [{ worker: string }];
    await pool.executeUpdate(poolUpdates.terminateWorker, { args });
    await expect.poll(() => livingWorkers(theirs)).toEqual([]);
    expect(livePods(ours)).toContain(pod);
    const deleted = ours.simulator.requests().filter(({ method, path }) => method === "DELETE" && path.endsWith(pod));
    expect(deleted).toEqual([]);
  });

  it("give no verdict about a pool of the other, whose activities come to their process by force", async () => {
    const own = await createPodByHand(ours, `${ours.pool}-0a1b2c3d`, null);
    await process.stop();
    const before = await ours.rows("select id, status from workers order by id");
    const stop = await theirs.serve(ours.config.temporal.taskQueue);
    const handle = ours.temporal.workflow.getHandle(poolWorkflowId(ours.pool));
    const refusals = async () => {
      const { raw } = await handle.describe();
      return (raw.pendingActivities ?? []).map(({ lastFailure }) => lastFailure?.applicationFailureInfo?.type);
    };
    await expect.poll(refusals).toEqual([FAILURES.foreignDeployment]);
    await stop();
    expect(await ours.rows("select id, status from workers order by id")).toEqual(before);
    expect(livePods(ours)).toHaveLength(3);

    // A right process takes the next attempt, and the pool goes on.
    ours.startTemporalWorker();
    await hold(ours, 0);
    const pods = ours.simulator.ledger().pods.filter(({ name }) => name.startsWith(theirs.pool));
    await expectNothingLeft(ours, [own, ...pods.map(({ id }) => id)]);
  });
});
