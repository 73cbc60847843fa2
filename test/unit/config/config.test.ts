import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig } from "../../../src/config/config.ts";
import { addressProblem } from "../../../src/process/temporal-address.ts";
import { variables } from "../../../src/config/variables.ts";

const credentials = {
  SUPABASE_URL: "https://abc.supabase.co",
  SUPABASE_ANON_KEY: "anon-key-value",
  SUPABASE_SERVICE_ROLE_KEY: "service-key-value",
  RUNPOD_API_KEY: "runpod-key-value",
};

function problemsOf(run: () => unknown): ConfigError {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error;
    }
    throw error;
  }
  throw new Error("expected a ConfigError, but nothing was thrown");
}

function load(env: Record<string, string>) {
  return loadConfig({ ...credentials, ...env });
}

describe("loadConfig", () => {
  it("gives every setting of the onboarding guide its documented default", () => {
    const config = loadConfig(credentials);
    expect(config.scaling).toEqual({
      policy: "threshold",
      minActiveGpus: 2,
      maxActiveGpus: 10,
      tasksPerGpuThreshold: 3,
      scaleUpMultiplier: 1,
      scaleDownMultiplier: 0.9,
      waitValue: undefined,
      targetWaitSec: undefined,
      targetWaitPercentile: 95,
      maxWaitValue: 100,
      waitCostUsdPerHour: undefined,
      machinesToKeepIdle: 0,
      maxLaunchesPerMinute: 60,
      workerGracePeriodSec: 120,
      scaleDownIdleSec: 60,
      schedules: [],
      pollSec: 30,
      watchIntervalMs: 500,
    });
    expect(config.timeouts).toEqual({
      gpuIdleTimeoutSec: 300,
      taskStuckTimeoutSec: 300,
      spawningTimeoutSec: 300,
      bootPullingTimeoutSec: 1200,
      bootInstallingTimeoutSec: 900,
      bootLoadingTimeoutSec: 900,
      gracefulShutdownTimeoutSec: 600,
      workerMaxLifetimeSec: 86_400,
    });
    expect(config.breaker).toEqual({ maxWorkerFailureRate: 0.8, failureWindowMinutes: 5, minWorkersForRateCheck: 5 });
    expect(config.budget).toEqual({
      maxHourlySpendUsd: undefined,
      dailyBudgetUsd: undefined,
      budgetHard: false,
      noFundsProbeMinutes: 5,
    });
    expect(config.provider).toEqual({ podListSec: 25, podListLagSec: 10, podSettleSec: 120, maxCallsPerSec: 10 });
    expect(config.worker).toMatchObject({ dbType: "supabase", tableName: "tasks", heartbeatMs: 20_000, pollMs: 1000 });
    expect(config.supabase.videoBucket).toBe("videos");
    expect(config.runpod).toMatchObject({
      apiUrl: "https://api.runpod.io/v2",
      timeoutMs: 30_000,
    });
    expect(config.launch).toMatchObject({
      workerProfile: "headless-wan2gp",
      containerDiskGb: 50,
      workerTemplateId: undefined,
      workerEnv: [],
    });
    expect(config.placement).toMatchObject({ gpuTypes: ["NVIDIA GeForce RTX 4090"], clouds: ["SECURE"] });
    expect([config.pool.name, config.temporal.taskQueue]).toEqual(["main", "gpu-pool"]);
  });

  it("freezes the object and every group and list in it", () => {
    const config = load({ RUNPOD_DATA_CENTER_IDS: "EU-NO-1, EU-CZ-1" });
    expect(config.placement.dataCenterIds).toEqual(["EU-NO-1", "EU-CZ-1"]);
    expect([config, ...Object.values(config), config.placement.dataCenterIds].every(Object.isFrozen)).toBe(true);
  });

  it("lists every problem at once, each with the variable, its value and what is allowed", () => {
    const error = problemsOf(() =>
      load({
        SUPABASE_URL: "",
        MIN_ACTIVE_GPUS: "two",
        RUNPOD_CLOUD: "MOON",
        GPU_POOL: "My Pool",
        WATCH_INTERVAL_MS: "1",
      }),
    );
    expect(error.problems.map(({ variable }) => variable)).toEqual([
      "SUPABASE_URL",
      "GPU_POOL",
      "MIN_ACTIVE_GPUS",
      "WATCH_INTERVAL_MS",
      "RUNPOD_CLOUD",
    ]);
    expect(error.message).toContain("SUPABASE_URL is not set; expected the http or https URL of the project");
    expect(error.message).toContain("RUNPOD_CLOUD=MOON: expected one or more of SECURE, COMMUNITY");
    expect(error.message).toContain("GPU_POOL=My Pool: expected 1 to 32 lower-case letters");
    expect(error.message).toContain("MIN_ACTIVE_GPUS=two: expected a whole number from 0 to 10000");
    expect(error.message).toContain("WATCH_INTERVAL_MS=1: expected a whole number from 50 to 20000");
    expect(error.message.split("\n")).toHaveLength(7);
  });

  it.each(["1.5", "1e3", "0x10", "-1", "10001", "3 GPUs"])("refuses %s as a number of GPUs", (value) => {
    expect(problemsOf(() => load({ MAX_ACTIVE_GPUS: value })).message).toContain(`MAX_ACTIVE_GPUS=${value}: expected`);
  });

  it("refuses durations that would overflow a timer", () => {
    expect(load({ WORKER_MAX_LIFETIME_SEC: "2147483" }).timeouts.workerMaxLifetimeSec).toBe(2_147_483);
    expect(problemsOf(() => load({ WORKER_MAX_LIFETIME_SEC: "2147484" })).problems).toHaveLength(1);
  });

  it("takes an empty or blank variable as unset", () => {
    expect(load({ MAX_ACTIVE_GPUS: "", RUNPOD_TEMPLATE_ID: "  " })).toEqual(loadConfig(credentials));
  });

  it("refuses a floor above the ceiling", () => {
    const error = problemsOf(() => load({ MIN_ACTIVE_GPUS: "11" }));
    expect(error.message).toContain("MIN_ACTIVE_GPUS=11 is above MAX_ACTIVE_GPUS=10");
    expect(load({ MIN_ACTIVE_GPUS: "10" }).scaling.minActiveGpus).toBe(10);
  });

  it("refuses two variables that say what waiting is worth, whatever the policy is", () => {
    const error = problemsOf(() => load({ WAIT_VALUE: "2", TARGET_WAIT_SEC: "60" }));
    expect(error.message).toContain(
      "WAIT_VALUE=2 and TARGET_WAIT_SEC=60 each say what waiting is worth; " +
        "expected at most one of WAIT_VALUE, TARGET_WAIT_SEC, WAIT_COST_USD_PER_HOUR",
    );
    expect(error.problems.map(({ variable }) => variable)).toEqual(["TARGET_WAIT_SEC"]);
    expect(load({ TARGET_WAIT_SEC: "60", TARGET_WAIT_PERCENTILE: "90" }).scaling).toMatchObject({ targetWaitSec: 60 });
  });

  it.each([
    ["RUNPOD_INSTANCE_TYPE", "RUNPOD_GPU_TYPE", "gpuTypes", "NVIDIA RTX A4000", ["NVIDIA RTX A4000"]],
    ["RUNPOD_CONTAINER_IMAGE", "RUNPOD_WORKER_IMAGE", "workerImage", "me/worker:1", "me/worker:1"],
    ["RUNPOD_CONTAINER_DISK_SIZE_GB", "RUNPOD_CONTAINER_DISK_GB", "containerDiskGb", "75", 75],
  ] as const)("reads %s as an alias of %s and refuses two different values", (alias, name, key, value, parsed) => {
    const read = (env: Record<string, string>) => ({ ...load(env).launch, ...load(env).placement })[key];
    expect(read({ [alias]: value })).toEqual(parsed);
    expect(read({ [alias]: value, [name]: value })).toEqual(parsed);
    const error = problemsOf(() => load({ [alias]: value, [name]: "99" }));
    expect(error.message).toContain(`${name}=99 and ${alias}=${value} name one setting and differ`);
  });

  it("reads the older name of the idleness before scale-down", () => {
    expect(load({ GPU_OVERCAPACITY_IDLE_TIMEOUT_SEC: "30" }).scaling.scaleDownIdleSec).toBe(30);
  });

  it.each([
    ["MAX_HOURLY_SPEND_USD", "0"],
    ["DAILY_BUDGET_USD", "-5"],
    ["MAX_WORKER_FAILURE_RATE", "1.5"],
    ["FAILURE_WINDOW_MINUTES", "0"],
    ["SCALE_UP_MULTIPLIER", "0"],
    ["MAX_LAUNCHES_PER_MINUTE", "0"],
    ["BUDGET_HARD", "maybe"],
  ])("refuses %s=%s", (name, value) => {
    expect(problemsOf(() => load({ [name]: value })).message).toContain(`${name}=${value}: expected`);
  });

  it("names the alias when the alias holds the bad value", () => {
    const error = problemsOf(() => load({ RUNPOD_CONTAINER_DISK_SIZE_GB: "big" }));
    expect(error.problems[0]).toMatchObject({ variable: "RUNPOD_CONTAINER_DISK_SIZE_GB" });
  });

  it.each([
    ["DEBUG", "debug"],
    ["WARNING", "warn"],
    ["Critical", "fatal"],
    ["Trace", "trace"],
  ])("reads the log level %s as %s", (given, level) => {
    expect(load({ LOG_LEVEL: given }).log.level).toBe(level);
  });

  it("accepts only the database and the table that the queue lives in, and says why", () => {
    const error = problemsOf(() => load({ DB_TYPE: "sqlite", POSTGRES_TABLE_NAME: "jobs" }));
    expect(error.message).toMatch(/DB_TYPE=sqlite: expected only supabase, because/);
    expect(error.message).toMatch(/POSTGRES_TABLE_NAME=jobs: expected only tasks, because/);
  });

  it("never shows the value of a secret", () => {
    const error = problemsOf(() => load({ SUPABASE_DB_URL: "mysql://root:hunter2@db" }));
    expect(error.message).toContain("SUPABASE_DB_URL=(secret of 23 characters)");
    expect(JSON.stringify(error) + error.message).not.toContain("hunter2");
  });

  it("shows only the start of a long value, which may be a key in the wrong variable", () => {
    const key = `eyJhbGciOiJIUzI1NiJ9.${"a".repeat(80)}`;
    expect(problemsOf(() => load({ SUPABASE_URL: key })).message).not.toContain("aaaa");
  });

  it("drops the slash at the end of a URL", () => {
    expect(load({ SUPABASE_URL: "http://127.0.0.1:54321//" }).supabase.url).toBe("http://127.0.0.1:54321");
  });

  it("refuses the address of one of a project's services in place of the project's", () => {
    for (const path of ["/rest/v1", "/rest/v1/", "/storage/v1"]) {
      const url = `https://abc.supabase.co${path}`;
      expect(problemsOf(() => load({ SUPABASE_URL: url })).message).toContain("without a path such as /rest/v1");
    }
    expect(load({ SUPABASE_URL: "https://box.example/supabase" }).supabase.url).toBe("https://box.example/supabase");
  });

  it("does not require the public key where only the database is needed", () => {
    const { SUPABASE_ANON_KEY: _unused, ...without } = credentials;
    expect(loadConfig(without, { need: ["database"] }).supabase.serviceRoleKey).toBe("service-key-value");
    expect(problemsOf(() => loadConfig({}, { need: ["database"] })).problems.map(({ variable }) => variable)).toEqual([
      "SUPABASE_URL",
      "SUPABASE_SERVICE_ROLE_KEY",
    ]);
    expect(problemsOf(() => loadConfig(without, { need: ["supabase"] })).message).toContain("SUPABASE_ANON_KEY");
  });

  it("refuses a Temporal address with a scheme", () => {
    expect(addressProblem("http://user:secret@127.0.0.1:7233")).toMatch(
      /^TEMPORAL_ADDRESS=http:\/\/\*\*\*@127\.0\.0\.1:7233: expected host:port/,
    );
    for (const address of [undefined, "my-ns.a1b2c.tmprl.cloud:7233", "[::1]:7233", "temporal"]) {
      expect(addressProblem(address)).toBeNull();
    }
  });

  it("requires only the credentials that are needed and leaves the other group out", () => {
    const { RUNPOD_API_KEY: _unused, ...supabaseOnly } = credentials;
    const config = loadConfig(supabaseOnly, { need: ["supabase"] });
    expect(config.supabase.serviceRoleKey).toBe("service-key-value");
    expect("runpod" in config).toBe(false);
    expect(problemsOf(() => loadConfig(supabaseOnly)).problems.map(({ variable }) => variable)).toEqual([
      "RUNPOD_API_KEY",
    ]);
    expect(loadConfig({}, { need: [] }).scaling.maxActiveGpus).toBe(10);
  });

  it("knows each variable once, under one name", () => {
    const names = variables.flatMap(({ name, aliases }) => [name, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
  });
});
