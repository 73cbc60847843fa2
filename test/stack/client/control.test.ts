import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { poolQueries } from "../../../src/contract/pool-api.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { type Ran, runClient } from "../../kit/client.ts";
import { countEvents, expectNothingLeft, livingWorkers } from "../../kit/lifecycle.ts";

let stack: TestStack;
let schema: z.ZodType;

beforeAll(async () => {
  const text = await readFile(new URL("../../../docs/schemas/cycle.schema.json", import.meta.url), "utf8");
  schema = z.fromJSONSchema(JSON.parse(text) as never);
  const env = { DAILY_BUDGET_USD: "50", MAX_ACTIVE_GPUS: "3", SCALE_DOWN_IDLE_SEC: "600" };
  // Light pods claim no task, so queued tasks stay queued.
  stack = await startTestStack({ env, launch: createLightPodLauncher() });
});

afterAll(async () => {
  await stack?.temporal.workflow
    .getHandle(poolWorkflowId(stack.pool))
    .terminate("the test is over")
    .catch(() => undefined);
  await stack?.close();
});

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return await runClient(args, { cwd: tmpdir(), env: { ...stack.env, ...env } });
}

async function runOk(...args: string[]): Promise<Ran> {
  const ran = await run(args);
  expect(ran).toMatchObject({ exitCode: 0 });
  return ran;
}

async function runJson(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await runOk(...args, "--json")).stdout) as Record<string, unknown>;
}

/** Everything that a decision could change. Heartbeats and progress go on in the meantime. */
async function decided(): Promise<unknown> {
  return {
    pools: await stack.rows("select * from pools"),
    events: await stack.rows("select * from pool_events order by id"),
    workers: await stack.rows("select id, status, last_signal, last_signal_at from workers order by id"),
  };
}

async function cancelTasks(): Promise<void> {
  await stack.rows("update tasks set status = 'Cancelled' where status in ('Queued', 'In Progress')");
}

function start() {
  return `start it: gpu-pool pool start --pool ${stack.pool}`;
}

describe("without a controller", () => {
  it("commands that need one say so, with exit code 3, and advise to start no pool that nobody made", async () => {
    const never = "No pool of this name was ever started. There is no pool yet: see gpu-pool pool start --help";
    const problems = {
      "shutdown --wait": "shutdown: pool POOL does not run: it has no workflow",
      "config set maxActiveGpus=4": "config: pool POOL does not run",
      config: "pool POOL does not answer: it has no workflow",
      decide: "there is no pool POOL: it has no settings and no workers",
      alerts: "there is no pool POOL",
    };
    for (const [command, problem] of Object.entries(problems)) {
      expect({ command, ...(await run(command.split(" "))) }).toEqual({
        command,
        exitCode: 3,
        stdout: "",
        stderr: `gpu-pool: ${problem.replace("POOL", stack.pool)}\n  ${never}`,
      });
    }
    const nobody = await run(["worker", "drain", "nobody"]);
    expect(nobody).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("there is no worker whose id is nobody"),
    });
    const explain = await run(["explain"]);
    expect(explain).toMatchObject({ exitCode: 3, stderr: expect.stringContaining(`there is no pool ${stack.pool}`) });
  });

  it("cycle observes, decides, performs and ends, and its answer matches its schema", async () => {
    await stack.serve();
    const round = await runJson("cycle", "--config", '{"minActiveGpus":1}');
    expect(schema.safeParse(round)).toMatchObject({ success: true });
    expect(round).toMatchObject({ pool: stack.pool, mode: "normal", desired: 1, rule: "min", queued: 0 });
    expect(round["actions"]).toMatchObject([{ kind: "spawn", count: 1 }]);
    expect((await livingWorkers(stack)).map(({ id }) => id)).toEqual(round["booked"]);
    const { status } = await stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool)).describe();
    expect(status.name).toBe("COMPLETED");
    await expect.poll(async () => (await livingWorkers(stack)).map((worker) => worker.status)).toEqual(["active"]);
  });

  it("decide shows what a round would do by the settings of the newest Temporal worker, and changes nothing", async () => {
    await stack.submit(9);
    const before = await decided();
    const { stdout } = await run(["decide"], { MAX_ACTIVE_GPUS: "50", TEMPORAL_ADDRESS: "127.0.0.1:1" });
    expect(stdout).toContain(`pool ${stack.pool}: normal, the policy decides its size`);
    expect(stdout).toMatch(/^queue {6}9 open$/m);
    expect(stdout).toMatch(/^ {11}spawn 2$/m);
    expect(stdout).toMatch(/^settings +threshold, MIN 1, MAX 3; the pool's own: minActiveGpus$/m);
    expect(stdout).toMatch(/^budget +\$50 a day$/m);
    expect(stdout).toMatch(/^provider +1 pod in the account$/m);
    expect(stdout).toMatch(/nothing was changed$/);
    const json = await runJson("decide");
    expect(json).toMatchObject({ desired: 3, rule: "threshold", changed: false, settings: { own: ["minActiveGpus"] } });
    const tried = await run(["decide", "policy=latency", "waitValue=2"]);
    expect(tried.stdout).toMatch(/at work in [\d.]+ s → 9 wanted/);
    expect(tried.stdout).toMatch(
      /^settings +latency, MIN 1, MAX 3; the pool's own: minActiveGpus, policy, waitValue$/m,
    );
    expect(await decided()).toEqual(before);
    await cancelTasks();
  });

  it("decide gives a verdict on silence only if the pool was observed", async () => {
    const [hour, id] = ["now() - interval '1 hour'", `${stack.pool}-51e47000`];
    await stack.rows(
      `insert into workers (id, pool, status, created_at, ready_at, last_heartbeat, instance_type)
       values ($1, $2, 'active', ${hour}, ${hour}, ${hour}, 'any')`,
      [id, stack.pool],
    );
    const verdict = expect.objectContaining({ kind: "fail", workers: [id] });
    await stack.rows(`update pools set observed_at = now(), observing_since = ${hour}`);
    expect((await runJson("decide"))["actions"]).toContainEqual(verdict);
    await stack.rows(`update pools set observed_at = now() - interval '30 minutes'`);
    expect((await runJson("decide"))["actions"]).not.toContainEqual(verdict);
    await stack.rows("update workers set gone_at = now(), status = 'terminated' where id = $1", [id]);
  });

  it("decide says if the provider cannot be read", async () => {
    expect(await runJson("decide")).toMatchObject({ provider: "1 pod in the account" });
    const without = await run(["decide", "--json"], { RUNPOD_API_KEY: "" });
    expect(JSON.parse(without.stdout)).toMatchObject({
      provider: expect.stringContaining("RUNPOD_API_KEY is not set"),
    });
  });

  it("diagnostics of a worker say why they cannot look into its pod", async () => {
    const [worker] = await livingWorkers(stack);
    const shown = await run(["worker", "diagnostics", worker?.id ?? ""], { RUNPOD_SSH_PRIVATE_KEY_PATH: "/keys/id" });
    expect(shown.stdout).toContain("the provider shows no SSH address of its own for this pod");
  });

  it("a mistyped name gets the names that there are", async () => {
    const only = `No pool of this name was ever started. The only pool is ${stack.pool}.`;
    const orders = ["drain", "resume", "pause", "scale 2", "shutdown", "spawn", "config", "config set minActiveGpus=1"];
    const looks = ["status", "decide", "alerts", "tasks", "workers", "costs", "explain"];
    const others = ["worker run", "worker token", "notifications add http://127.0.0.1:1/hook"];
    for (const command of [...orders, ...looks, ...others]) {
      const { exitCode, stderr } = await run([...command.split(" "), "--pool", "mistyped"]);
      expect({ command, exitCode, stderr }).toEqual({ command, exitCode: 3, stderr: expect.stringContaining(only) });
    }
  });

  it("explain reads the journal and reports it", async () => {
    const { stdout, stderr } = await runOk("explain");
    expect(stderr).toContain(`pool ${stack.pool} does not answer: its workflow is completed; this is its journal`);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}min: .*\n {22}spawn 1$/m);
    expect(stdout).toMatch(/asked for:\n.*: NVIDIA GeForce RTX 4090, SECURE, any data center, 72 GB, \$0\.69 an hour/);
  });

  it("the pool's own workers cannot be ended", async () => {
    const [worker] = await livingWorkers(stack);
    for (const order of ["drain", "terminate"]) {
      const { exitCode, stderr } = await run(["worker", order, worker?.id ?? ""]);
      expect({ exitCode, stderr }).toEqual({
        exitCode: 3,
        stderr: `gpu-pool: worker ${order}: pool ${stack.pool} does not run\n  ${start()}`,
      });
    }
    expect(await livingWorkers(stack)).toMatchObject([{ status: "active" }]);
  });

  it("cycle gives the reason if a round cannot begin: its settings and the stored ones leave MIN above MAX", async () => {
    const { exitCode, stderr } = await run(["cycle", "--config", '{"maxActiveGpus":0}']);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: `gpu-pool: cycle: the round of pool ${stack.pool} failed: minActiveGpus=1 would be above maxActiveGpus=0`,
    });
    expect(await stack.rows("select config from pools")).toEqual([{ config: { minActiveGpus: 1 } }]);
  });
});

describe("an external worker without a controller", () => {
  it.each([
    ["drain", "draining", {}],
    ["terminate", "removed", { TEMPORAL_ADDRESS: "127.0.0.1:1" }],
  ])("obeys %s by its row, whether Temporal answers or not", async (order, becomes, env) => {
    const id = `box-${order}`;
    await runOk("worker", "token", "--id", id);
    expect(await run(["worker", order, id], env)).toEqual({
      exitCode: 0,
      stdout: `worker ${id}: ${becomes}`,
      stderr: "",
    });
    const status = order === "drain" ? "terminating" : "terminated";
    expect(await stack.rows("select status from workers where id = $1", [id])).toEqual([{ status }]);
    await stack.rows("update workers set gone_at = now(), status = 'terminated' where id = $1", [id]);
  });
});

describe("with a controller", () => {
  beforeAll(async () => {
    await runOk("pool", "start");
  });

  it("cycle says that a controller runs the pool, and prints its latest decision, which matches the schema", async () => {
    const { stdout, stderr } = await runOk("cycle", "--json");
    const round = JSON.parse(stdout) as Record<string, unknown>;
    expect(stderr).toBe(
      `gpu-pool: a controller keeps pool ${stack.pool}; this is its latest decision, of ${String(round["at"])}`,
    );
    expect(schema.safeParse(round)).toMatchObject({ success: true });
    expect(round).toMatchObject({ pool: stack.pool, desired: 1, booked: [] });
    const late = await run(["cycle", "--config", '{"maxActiveGpus":2}']);
    expect(late.exitCode).toBe(1);
    expect(late.stderr).toContain(`gpu-pool config set --pool ${stack.pool} maxActiveGpus=2`);
  });

  it("config shows every setting with its origin, and changes the pool's own at once", async () => {
    const own = async () => (await stack.rows<{ config: unknown }>("select config from pools"))[0]?.config;
    const { stdout } = await runOk("config");
    expect(stdout).toMatch(/^maxActiveGpus +3 +environment$/m);
    expect(stdout).toMatch(/^minActiveGpus +1 +the pool$/m);
    const set = await runOk("config", "set", "maxActiveGpus=2", "policy=workload");
    expect(set.stdout).toMatch(/^SETTING +VALUE +FROM\nmaxActiveGpus +2 +the pool\npolicy +workload +the pool$/);
    expect(await own()).toEqual({ minActiveGpus: 1, maxActiveGpus: 2, policy: "workload" });
    const unset = await runJson("config", "unset", "maxActiveGpus", "policy");
    expect(unset["settings"]).toMatchObject({
      values: { maxActiveGpus: 3, policy: "threshold" },
      own: ["minActiveGpus"],
    });
    expect(await own()).toEqual({ minActiveGpus: 1 });
  });

  it("config refuses an unknown setting or a wrong value, and changes nothing", async () => {
    const unknown = await run(["config", "set", "maxGpus=2"]);
    expect(unknown).toMatchObject({ exitCode: 1, stdout: "" });
    expect(unknown.stderr).toContain(`config: pool ${stack.pool} refused: maxGpus: no setting`);
    const wrong = await run(["config", "set", "minActiveGpus=0", "maxActiveGpus=lots"]);
    expect(wrong).toMatchObject({ exitCode: 1, stdout: "" });
    expect(wrong.stderr).toContain('maxActiveGpus="lots": expected a whole number');
    expect((await run(["config", "set", "maxActiveGpus"])).exitCode).toBe(2);
    expect(await stack.rows("select config from pools")).toEqual([{ config: { minActiveGpus: 1 } }]);
  });

  it("config ignores a setting that another version left in the row, and can remove it", async () => {
    await stack.rows(`update pools set config = config || '{"futureSec": 3}'`);
    expect((await runJson("config", "set", "minActiveGpus=1"))["settings"]).toMatchObject({ own: ["minActiveGpus"] });
    expect(await stack.rows("select config from pools")).toEqual([{ config: { minActiveGpus: 1, futureSec: 3 } }]);
    await runJson("config", "unset", "futureSec");
    expect(await stack.rows("select config from pools")).toEqual([{ config: { minActiveGpus: 1 } }]);
    const absent = await run(["config", "unset", "futureSec"]);
    expect(absent).toMatchObject({ exitCode: 1 });
    expect(absent.stderr).toContain("futureSec: no setting that a pool may have, and not in its configuration");
  });

  it("explain and status show the present rule and reason", async () => {
    const explained = await runJson("explain", "-n", "1");
    expect(explained).toMatchObject({ pool: stack.pool, now: { rule: "min", inputs: { desired: 1 } } });
    expect((explained["decisions"] as unknown[]).length).toBeLessThanOrEqual(1);
    expect(explained).toMatchObject({ stale: false, observedAt: expect.any(String) });
    const { stdout } = await runOk("explain", "-n", "21");
    expect(stdout).toContain(`pool ${stack.pool} at `);
    expect(stdout).toMatch(/ min: .*\n {22}spawn 1$/m);
    const status = await runJson("status");
    expect(status).toMatchObject({ rule: "min", breaker: { state: "closed" }, account: { dailyBudgetUsd: 50 } });
    expect((await runOk("status")).stdout).toMatch(/^account +\$0\.69 an hour, \$0\.\d\d of \$50\.00 today/m);
  });

  it("status shows when the pool was last observed, also while a quiet watch has not returned", async () => {
    const handle = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
    const aheadMs = async () => {
      const { observedAt, stale } = (await runJson("status"))["controller"] as { observedAt: string; stale: boolean };
      expect(stale).toBe(false);
      // This was read later, so only the watch's own heartbeat can be newer.
      const { snapshot } = await handle.query(poolQueries.status);
      return Date.parse(observedAt) - Date.parse(snapshot?.observedAt ?? "");
    };
    await expect.poll(aheadMs).toBeGreaterThan(0);
  });

  it("scale says how MAX limits a larger number, and when a hold ends", async () => {
    expect((await runOk("scale", "50")).stdout).toBe(`pool ${stack.pool}: held at 50; capped by MAX at 3`);
    expect(await runJson("scale", "50", "--for", "1h")).toMatchObject({ hold: 50, cappedAt: 3 });
    expect((await runOk("decide")).stdout).toMatch(/: held at 50 for another 59m/);
    expect(await runJson("scale", "1")).toMatchObject({ hold: 1, cappedAt: null });
    // Without a hold those beyond MIN would stay until they have been idle for long.
    await expect.poll(async () => (await livingWorkers(stack)).length).toBe(1);
    expect((await runOk("scale", "auto")).stdout).toBe(`pool ${stack.pool}: normal, the policy decides its size`);
    await expect.poll(async () => (await livingWorkers(stack)).length).toBe(1);
  });

  it("worker drain ends one of the pool's workers, which is replaced, and prints the outcome", async () => {
    const [worker] = await livingWorkers(stack);
    const id = worker?.id ?? "";
    expect((await runOk("worker", "drain", id.slice(0, -1), "--reason", "it rattles")).stdout).toBe(
      `worker ${id}: draining`,
    );
    await expect.poll(async () => (await livingWorkers(stack)).map((one) => one.id)).not.toContain(id);
    expect(
      await stack.rows("select 1 from pool_events where worker_id = $1 and reason like '%it rattles%'", [id]),
    ).not.toEqual([]);
    const again = await run(["worker", "drain", id, "--json"]);
    expect(again.exitCode).toBe(1);
    expect(JSON.parse(again.stdout)).toMatchObject({ pool: stack.pool, worker: id, outcome: "not_living" });
    const unknown = await run(["worker", "terminate", "nobody"]);
    expect(unknown).toMatchObject({ exitCode: 3, stdout: "" });
    expect(unknown.stderr).toContain("there is no worker whose id is nobody or begins so");
    await expect.poll(async () => (await livingWorkers(stack)).length).toBe(1);
  });

  it("worker terminate ends a busy worker, whose task goes back to the queue uncounted", async () => {
    await expect.poll(async () => (await livingWorkers(stack)).map(({ status }) => status)).toEqual(["active"]);
    const worker = (await livingWorkers(stack))[0]?.id ?? "";
    const [task = ""] = await stack.submit(1);
    await stack.db.call("claim_task", { p_worker_id: worker }, z.unknown());
    const { stdout } = await runOk("worker", "terminate", worker);
    expect(stdout).toBe(`worker ${worker}: terminating, its task goes back to the queue`);
    await expect.poll(async () => (await livingWorkers(stack)).map((one) => one.id)).not.toContain(worker);
    expect(await stack.rows("select cause from task_attempts where worker_id = $1", [worker])).toEqual([
      { cause: "drained" },
    ]);
    expect(await stack.rows("select attempts from tasks where id = $1", [task])).toEqual([{ attempts: 0 }]);
    await cancelTasks();
  });

  it("shutdown --wait leaves no pod and ends the workflow", async () => {
    const { stdout, stderr } = await runOk("shutdown", "--wait");
    expect(stdout).toBe(`pool ${stack.pool}: ended, no pod is left`);
    expect(stderr).toMatch(/\d workers? left/);
    expect(await livingWorkers(stack)).toEqual([]);
    await expectNothingLeft(stack);
    expect((await stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool)).describe()).status.name).toBe(
      "COMPLETED",
    );
    expect(await countEvents(stack, "message.shutdown")).toBe(1);
    expect((await run(["resume"])).stderr).toContain("does not run");
  });
});
