import { hostname, tmpdir, userInfo } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { type Ran, runClient } from "../../kit/client.ts";
import { expectNothingLeft } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

let stack: TestStack;
let other: string;
const ME = `${userInfo().username}@${hostname()}`;
const NIGHT = {
  name: "night",
  days: ["sat", "sun"],
  from: "00:00",
  to: "07:00",
  timeZone: "Europe/Berlin",
  maxActiveGpus: 2,
};

beforeAll(async () => {
  // Light pods claim no task, so queued tasks stay queued.
  stack = await startTestStack({ env: { MAX_ACTIVE_GPUS: "3" }, launch: createLightPodLauncher() });
  other = `${stack.pool}-other`;
  await stack.serve();
});

afterAll(async () => {
  for (const pool of [stack.pool, other]) {
    await handleOf(pool)
      .terminate("the test is over")
      .catch(() => undefined);
  }
  await stack?.close();
});

function handleOf(pool: string) {
  return stack.temporal.workflow.getHandle(poolWorkflowId(pool));
}

async function run(...args: string[]): Promise<Ran> {
  return await runClient(args, { cwd: tmpdir(), env: stack.env });
}

async function runOk(...args: string[]): Promise<Ran> {
  const ran = await run(...args);
  expect(ran).toMatchObject({ exitCode: 0 });
  return ran;
}

async function runJson(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await runOk(...args, "--json")).stdout) as Record<string, unknown>;
}

async function living(pool: string): Promise<string[]> {
  const rows = await stack.rows<{ status: string }>("select status from workers where pool = $1 and gone_at is null", [
    pool,
  ]);
  return rows.map(({ status }) => status);
}

describe("before any pool", () => {
  it("verbs about one say that nobody made it, with exit code 3, and shutdown-all has nothing to drain", async () => {
    const says = "No pool of this name was ever started. There is no pool yet";
    for (const verb of ["pool show", "pool show mian", "config get policy", "config explain", "schedule"]) {
      const ran = await run(...verb.split(" "));
      expect({ verb, ...ran }).toMatchObject({ verb, exitCode: 3, stderr: expect.stringContaining(says) });
    }
    expect((await runOk("shutdown-all")).stdout).toBe(
      "there is no pool but those that were shut down: nothing to drain",
    );
    expect(await runJson("shutdown-all", "--yes")).toEqual({ dryRun: false, ended: false, pools: [] });
  });
});

describe("a pool with settings of its own", () => {
  beforeAll(async () => {
    await runOk("pool", "start", stack.pool, "--config", JSON.stringify({ minActiveGpus: 1, schedules: [NIGHT] }));
    await runOk("config", "set", "scaleDownIdleSec=77");
  });

  it("config explain says of each setting its value, unit and origin, and who changed it when", async () => {
    const { settings } = (await runJson("config", "explain")) as { settings: Record<string, unknown>[] };
    const byName = new Map(settings.map((each) => [each["name"], each]));
    expect(byName.get("scaleDownIdleSec")).toMatchObject({
      value: 77,
      default: 60,
      unit: "s",
      source: "pool",
      changedBy: ME,
      changedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      variable: "SCALE_DOWN_IDLE_SEC",
    });
    expect(byName.get("minActiveGpus")).toMatchObject({ value: 1, source: "pool", changedAt: null, changedBy: null });
    expect(byName.get("maxActiveGpus")).toMatchObject({ value: 3, source: "environment" });
    expect(byName.get("tasksPerGpuThreshold")).toMatchObject({ value: 3, source: "default" });
    expect(byName.get("dailyBudgetUsd")).toMatchObject({ value: null, ofAccount: true });
    const { stdout } = await runOk("config", "explain", "SCALE_DOWN_IDLE_SEC");
    expect(stdout).toMatch(/^scaleDownIdleSec = 77 s\n/);
    expect(stdout).toMatch(new RegExp(`^from +the pool, set \\d+s ago by ${ME}$`, "m"));
    const { stdout: table } = await runOk("config", "explain");
    expect(table).toMatch(/^SETTING +VALUE +UNIT +FROM +WHAT IT DOES\npolicy +threshold +- +default +Rule that sizes/);
  });

  it("config get prints what config set takes", async () => {
    expect((await runOk("config", "get", "scaleDownIdleSec")).stdout).toBe("77");
    expect((await runOk("config", "get", "policy", "MIN_ACTIVE_GPUS")).stdout).toBe(
      "policy=threshold\nminActiveGpus=1",
    );
    expect(await runJson("config", "get", "gpuTypes")).toEqual({
      pool: stack.pool,
      settings: { gpuTypes: ["NVIDIA GeForce RTX 4090"] },
    });
    expect((await runOk("config", "maxActiveGpus")).stdout).toMatch(
      /^SETTING +VALUE +FROM\nmaxActiveGpus +3 +environment$/,
    );
  });

  it("a mistyped setting gets the nearest names, and no list of all", async () => {
    for (const verb of ["config get maxActiveGPUs", "config explain maxActiveGPUs", "config maxActiveGPUs"]) {
      expect({ verb, ...(await run(...verb.split(" "))) }).toEqual({
        verb,
        exitCode: 2,
        stdout: "",
        stderr: "gpu-pool: maxActiveGPUs is no setting\n  did you mean maxActiveGpus?",
      });
    }
    expect(await run("config", "set", "maxActiveGPUs=4")).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: `gpu-pool: config: pool ${stack.pool} refused: maxActiveGPUs: no setting that a pool may have; did you mean maxActiveGpus?`,
    });
  });

  it("schedule says what holds at a time, by the windows' clock, daylight saving included", async () => {
    const { stdout } = await runOk("schedule", "--at", "2027-03-28T01:30");
    expect(stdout).toMatch(/^pool p\w+: at 2027-03-28T01:30\+01:00 Europe\/Berlin, open: night$/m);
    expect(stdout).toMatch(/^holds +MIN 1, MAX 2, 0 kept idle$/m);
    expect(stdout).toMatch(/^until +2027-03-28T07:00\+02:00; then no window is open: MIN 1, MAX 3, 0 kept idle$/m);
    expect(await runJson("schedule", "--at", "2027-03-28T06:00Z", "minActiveGpus=2")).toMatchObject({
      open: null,
      localTime: "2027-03-28T08:00+02:00",
      holds: { minActiveGpus: 2, maxActiveGpus: 3 },
      next: { open: "night" },
      windows: [{ name: "night", isOpen: false }],
    });
    expect(await runJson("schedule")).toMatchObject({ pool: stack.pool, note: null });
    const wrong = await run("schedule", "--at", "tomorrow");
    expect(wrong).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("--at tomorrow is no time\n  Expected"),
    });
    const unknown = await run("schedule", "minActiveGpu=2");
    expect(unknown).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("did you mean minActiveGpus?") });
  });

  it("what became of each message stands in status, in explain and in the Web UI; a bare number is a size", async () => {
    await handleOf(stack.pool).signal("Scale", { target: 3 });
    await handleOf(stack.pool).signal("scale", { n: 2 });
    await handleOf(stack.pool).signal("scale", 1);
    const seen = async () => (await runOk("status")).stdout;
    await expect.poll(seen).toMatch(/^message +\d+s ago: scale taken: mode normal, held at 1$/m);
    expect(await seen()).toMatch(/^message +\d+s ago: ignored: scale: target: expected a whole number/m);
    const { stdout } = await runOk("explain");
    expect(stdout).toMatch(/^ {2}\d+s ago: ignored: Scale: unknown signal; a pool takes scale, drain/m);
    const { messages } = (await runJson("status")) as { messages: { kind: string }[] };
    expect(messages.map(({ kind }) => kind)).toEqual(["scale", "ignored", "ignored"]);
    const details = async () => {
      const metadata = await handleOf(stack.pool).query("__temporal_workflow_metadata");
      return JSON.stringify(metadata);
    };
    await expect.poll(details).toContain("taken: `scale: held at 1`");
    expect(await details()).toContain("ignored: `Scale: unknown signal");
    await runOk("scale", "auto");
  });

  it("pool show has the pool with its own settings, and its name may be an argument", async () => {
    const { stdout } = await runOk("pool", "show", stack.pool);
    expect(stdout).toMatch(new RegExp(`^pool ${stack.pool}: normal`));
    expect(stdout).toMatch(new RegExp(`^scaleDownIdleSec +77 +s +the pool, set \\d+s ago by ${ME} `, "m"));
    expect(stdout).not.toMatch(/^maxActiveGpus/m);
    expect(await runJson("pool", "show")).toMatchObject({
      pool: stack.pool,
      controller: "answers",
      shouldRun: true,
      ownSettings: { minActiveGpus: 1, scaleDownIdleSec: 77 },
    });
    const two = await run("pool", "show", "mian", "--pool", stack.pool);
    expect(two).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("name two pools") });
    const nobody = await run("pool", "show", "mian");
    expect(nobody.stderr).toContain(`The only pool is ${stack.pool}.`);
    expect(await run("pool", "shutdown", "mian")).toMatchObject({ exitCode: 3 });
  });
});

describe("shutdown-all", () => {
  it("asks first, and --dry-run only says what it would do", async () => {
    await runOk("pool", "start", other, "--config", '{"minActiveGpus":1}');
    await expect.poll(() => living(other)).toEqual(["active"]);
    await expect.poll(() => living(stack.pool)).toEqual(["active"]);
    // Its worker lives on.
    await handleOf(other).terminate("lost");
    const { stdout } = await runOk("shutdown-all", "--dry-run");
    expect(stdout).toContain(`pool ${stack.pool}: 1 worker\npool ${other}: 1 worker\neach drains`);
    expect(await runJson("shutdown-all", "--dry-run")).toMatchObject({ dryRun: true, pools: [{ workers: 1 }, {}] });
    const asked = await run("shutdown-all");
    expect(asked).toMatchObject({ exitCode: 2, stdout: "", stderr: expect.stringContaining("Say --yes to agree.") });
    expect(await living(stack.pool)).toEqual(["active"]);
  });

  it("ends every worker, sees every pod gone, and nothing comes back until a pool is resumed", async () => {
    const { stdout, stderr } = await runOk("shutdown-all", "--yes");
    expect(stderr).toContain(`draining: ${stack.pool}: 1 worker`);
    expect(stdout).toBe(
      [stack.pool, other]
        .map((pool) => `pool ${pool}: no pod is left; back again: gpu-pool resume --pool ${pool}`)
        .join("\n"),
    );
    expect([await living(stack.pool), await living(other)]).toEqual([[], []]);
    await expectNothingLeft(stack);
    await stack.submit(9);
    const seen = async () => await runJson("status");
    await expect.poll(seen).toMatchObject({ queue: { open: 9 }, desired: 0, rule: "draining" });
    expect(await living(stack.pool)).toEqual([]);
    await runOk("resume");
    await expect.poll(async () => (await living(stack.pool)).length).toBeGreaterThan(0);
    const again = await runJson("shutdown-all", "--yes", "--no-wait");
    expect(again).toMatchObject({
      ended: false,
      pools: [{ outcome: "drains" }, { pool: other, outcome: "drains at its next round" }],
    });
  });
});
