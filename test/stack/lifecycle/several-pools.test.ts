import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { runClient } from "../../kit/client.ts";
import { deploymentText, envFile, kubernetesPrograms, resourcesIn } from "../../kit/deployment/files.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { expectDoneOnce, expectNothingLeft } from "../../kit/lifecycle.ts";
import { poolUpdates } from "../../../src/contract/pool-api.ts";

interface Workers {
  readonly pool: string;
  readonly n: number;
}

describe("several pools side by side in one namespace", () => {
  let stack: TestStack;
  let day: string;
  let night: string;
  beforeAll(async () => {
    stack = await startTestStack({ env: { TASKS_PER_GPU_THRESHOLD: "1", MAX_ACTIVE_GPUS: "9" } });
    await stack.serve();
    day = stack.pool;
    night = `${stack.pool}-night`;
    await stack.rows("update task_types set pool = $1 where name = 'generate_video'", [day]);
    await stack.rows("insert into task_types (name, pool) values ('upscale_at_night', $1)", [night]);
    await stack.startPool({ config: { maxActiveGpus: 2 } });
    await startSecond();
  });
  afterAll(async () => {
    await stack?.temporal.workflow
      .getHandle(poolWorkflowId(night))
      .terminate("the test is over")
      .catch(() => undefined);
    await stack?.close();
  });

  async function startSecond(): Promise<void> {
    await stack.temporal.workflow.start("gpuPool", {
      workflowId: poolWorkflowId(night),
      taskQueue: stack.config.temporal.taskQueue,
      args: [{ pool: night, config: { maxActiveGpus: 1, policy: "workload", gpuTypes: ["NVIDIA L40S"] } }],
    });
  }

  /** @param pool null: the pool of the task's type. */
  async function submit(count: number, pool: string | null = null, type = "generate_video"): Promise<string[]> {
    const params = { prompt: "a cat", frames: 8, fps: 8, width: 64, height: 64 };
    const rows = await stack.rows<{ id: string }>(
      "insert into tasks (task_type, params, pool) select $1, $2, $3 from generate_series(1, $4) returning id",
      [type, params, pool, count],
    );
    return rows.map(({ id }) => id);
  }

  async function living(): Promise<Workers[]> {
    return await stack.rows<Workers>(
      "select pool, count(*)::int as n from workers where gone_at is null group by pool order by pool",
    );
  }

  async function booked(): Promise<Workers[]> {
    return await stack.rows<Workers>("select pool, count(*)::int as n from workers group by pool order by pool");
  }

  it("each completes its own task types with its own settings, and its workers carry its name", async () => {
    const [foreign = ""] = await submit(1, null, "upscale_at_night");
    const ids = [...(await submit(6)), ...(await submit(3, night))];
    await expectDoneOnce(stack, ids);
    // Counted over all time: the workers of one pool may have gone before those of the other are booked.
    expect(await booked()).toEqual([
      { pool: day, n: 2 },
      { pool: night, n: 1 },
    ]);
    expect(
      await stack.rows(
        "select distinct pool, instance_type, cost_per_hr_usd::float8 as price from workers order by pool",
      ),
    ).toEqual([
      { pool: day, instance_type: "NVIDIA GeForce RTX 4090", price: 0.69 },
      { pool: night, instance_type: "NVIDIA L40S", price: 0.86 },
    ]);
    const strays = await stack.rows(
      `select 1 from task_attempts a join tasks t on t.id = a.task_id join workers w on w.id = a.worker_id
       where t.pool <> w.pool or w.id not like w.pool || '-%'`,
    );
    expect(strays).toEqual([]);
    // No GPU worker here knows this type: it waits in its pool for one that does.
    expect(await stack.rows("select pool, status from tasks where id = $1", [foreign])).toEqual([
      { pool: night, status: "Queued" },
    ]);
    expect(await stack.rows("select 1 from workers")).toHaveLength(3);
    await expectNothingLeft(stack);
  });

  it("an order to one does not reach the other", async () => {
    const handle = stack.temporal.workflow.getHandle(poolWorkflowId(night));
    await handle.executeUpdate(poolUpdates.drain);
    const waiting = await submit(1, night);
    await expectDoneOnce(stack, await submit(2));
    expect(await stack.rows("select status from tasks where id = any($1)", [waiting])).toEqual([{ status: "Queued" }]);
    expect(await stack.rows("select name, mode from pools where name = any($1) order by name", [[day, night]])).toEqual(
      [
        { name: day, mode: "normal" },
        { name: night, mode: "draining" },
      ],
    );
    await handle.executeUpdate(poolUpdates.resume);
    await expectDoneOnce(stack, waiting);
    await expectNothingLeft(stack);
  });

  it("the shutdown of one leaves the workers of the other alone", async () => {
    await stack.temporal.workflow
      .getHandle(poolWorkflowId(day))
      .executeUpdate(poolUpdates.scale, { args: [{ target: 1 }] });
    await stack.temporal.workflow
      .getHandle(poolWorkflowId(night))
      .executeUpdate(poolUpdates.scale, { args: [{ target: 1 }] });
    await expect.poll(living).toEqual([
      { pool: day, n: 1 },
      { pool: night, n: 1 },
    ]);
    const second = stack.temporal.workflow.getHandle(poolWorkflowId(night));
    await second.executeUpdate(poolUpdates.shutdown);
    await second.result();
    expect(await living()).toEqual([{ pool: day, n: 1 }]);
    expect(
      stack.simulator
        .ledger()
        .pods.filter(({ live }) => live)
        .map(({ name }) => name),
    ).toEqual([expect.stringMatching(new RegExp(`^${day}-[0-9a-f]{8}$`))]);
  });

  it("a third is kept by nothing but the CronJob's command, on an empty and on a busy queue", async () => {
    const pool = `${stack.pool}-cron`;
    const file = "kubernetes/overlays/cron/cycle.yaml";
    const settings = envFile("kubernetes/base/settings.env");
    const [cycle] = kubernetesPrograms(file, resourcesIn(deploymentText(file)), settings);
    // Nothing that the manifest does not give, but what tells this test from others.
    const given = [...(cycle?.env ?? []).map(({ name }) => name), "TEMPORAL_TASK_QUEUE"];
    const env = Object.fromEntries(Object.entries(stack.env).filter(([name]) => given.includes(name)));
    const round = async () => {
      const ran = await runClient(cycle?.args ?? [], { cwd: tmpdir(), env: { ...env, GPU_POOL: pool } });
      expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
      return JSON.parse(ran.stdout) as { booked: readonly string[] };
    };
    expect(await round()).toMatchObject({ pool, queued: 0, desired: 0, actions: [], booked: [] });
    const ids = await submit(1, pool);
    const busy = await round();
    expect(busy).toMatchObject({ pool, queued: 1, desired: 1, actions: [{ kind: "spawn", count: 1 }] });
    expect(busy.booked).toHaveLength(1);
    // The rounds go on as the cron does, and end what is idle.
    const left = async () => {
      await round();
      return (await living()).filter((each) => each.pool === pool);
    };
    await expectDoneOnce(stack, ids);
    await expect.poll(left, { interval: 1_000 }).toEqual([]);
  });
});
