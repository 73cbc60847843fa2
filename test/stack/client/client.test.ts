import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { type Ran, runClient, runProcess } from "../../kit/client.ts";

let stack: TestStack;
let cwd = "";

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "client-"));
  stack = await startTestStack();
});

afterAll(async () => {
  await stack.temporal.workflow
    .getHandle(poolWorkflowId(stack.pool))
    .terminate("the test is over")
    .catch(() => undefined);
  await stack.close();
  await rm(cwd, { recursive: true, force: true });
});

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Promise<Ran> {
  return await runClient(args, { cwd, env: { ...stack.env, ...env }, input });
}

/** As `run`, by the real command: what it leaves open must not keep its process alive. */
async function runReal(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Promise<Ran> {
  return await runProcess(args, { cwd, env: { ...stack.env, ...env }, input });
}

async function runJson(...args: string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await run([...args, "--json"]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

const SMALL = ["--frames", "8", "--fps", "8", "--width", "64", "--height", "64"];

describe("gpu-pool before any pool runs", () => {
  it("answers an order with the pools that there are, and advises to start none that nobody made", async () => {
    for (const order of [["drain"], ["resume"], ["pause"], ["scale", "2"]]) {
      const { exitCode, stderr } = await run(order);
      expect(stderr).toBe(
        `gpu-pool: ${order[0]}: pool ${stack.pool} does not run\n  No pool of this name was ever started. There is no pool yet: see gpu-pool pool start --help`,
      );
      expect(exitCode).toBe(3);
    }
  });

  it("shows the database's counts of a pool that was never started, with the exit code of a missing controller", async () => {
    const { exitCode, stdout, stderr } = await run(["status"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: `gpu-pool: there is no pool ${stack.pool}\n  No pool of this name was ever started. There is no pool yet: see gpu-pool pool start --help`,
    });
    expect(stdout).toContain(`pool ${stack.pool}: never started`);
    expect(stdout).toContain("controller none: it has no workflow");
    expect(stdout).toContain("0 open, 0 held, 0 blocked; 0 in progress");
  });
});

describe("gpu-pool with services that do not answer", () => {
  it("exits with 4 and names the address, for Temporal and for the database", async () => {
    const temporal = await runReal(["drain"], { TEMPORAL_ADDRESS: "127.0.0.1:1" });
    expect(temporal).toMatchObject({ exitCode: 4, stdout: "" });
    expect(temporal.stderr).toContain("no answer from Temporal at 127.0.0.1:1");
    const database = await runReal(["submit", "--prompt", "x"], { SUPABASE_URL: "http://127.0.0.1:1" });
    expect(database).toMatchObject({ exitCode: 4, stdout: "" });
    expect(database.stderr).toContain("no answer from the database at http://127.0.0.1:1");
    const postgres = await runReal(["db", "migrate"], { SUPABASE_DB_URL: "postgres://u:hidden@127.0.0.1:1/db" });
    expect(postgres).toMatchObject({ exitCode: 4, stdout: "" });
    expect(postgres.stderr).toContain("no answer from Postgres at 127.0.0.1:1/db");
    expect(postgres.stderr).not.toContain("hidden");
  });

  it("exits with 2 and names what is missing or refused", async () => {
    const unset = await run(["status"], { SUPABASE_URL: "" });
    expect(unset.exitCode).toBe(2);
    expect(unset.stderr).toContain("SUPABASE_URL is not set");
    const refused = await run(["submit", "--prompt", "x"], { SUPABASE_SERVICE_ROLE_KEY: "not-a-key" });
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain("Check that SUPABASE_SERVICE_ROLE_KEY belongs to");
    expect(refused.stderr).not.toContain("not-a-key");
  });
});

describe("gpu-pool usage", () => {
  it("suggests the intended command, and exits with 2", async () => {
    const { exitCode, stderr } = await runReal(["statsu"]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("unknown command 'statsu'");
    expect(stderr).toContain("Did you mean status?");
  });

  const commands = ["dev", "db migrate", "pool start", "status", "submit", "scale", "drain", "resume", "pause"];
  const control = ["shutdown", "dashboard", "config", "config set", "config unset", "explain", "decide", "cycle"];
  const others = ["backtest", "types", "worker drain", "worker terminate"];
  it.each([...commands, ...control, ...others])("explains %s with examples", async (command) => {
    const { exitCode, stdout } = await run([...command.split(" "), "--help"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Usage: gpu-pool ${command}`);
    expect(stdout.slice(stdout.indexOf("Examples:")).match(/gpu-pool/g)?.length).toBeGreaterThanOrEqual(2);
    expect(stdout).toContain("--json");
  });

  it("reads variables from the file that --env-file names, before or after the command", async () => {
    await writeFile(join(cwd, "other.env"), "GPU_POOL=from-file\n");
    for (const args of [
      ["--env-file", "other.env", "status"],
      ["status", "--env-file", "other.env"],
    ]) {
      expect((await run(args, { GPU_POOL: "" })).stdout).toContain("pool from-file:");
    }
  });
});

describe("gpu-pool db migrate", () => {
  it("applies all migrations to an empty database, once", async () => {
    const name = `test_${randomBytes(6).toString("hex")}`;
    const server = new pg.Client({ connectionString: inject("shared").superuserUrl });
    await server.connect();
    try {
      await server.query(`create database ${name}`);
      const url = new URL(inject("shared").superuserUrl);
      url.pathname = `/${name}`;
      const first = await runReal(["db", "migrate"], { SUPABASE_DB_URL: url.href });
      expect(first).toMatchObject({ exitCode: 0 });
      expect(first.stdout).toMatch(/^applied 20\d+_tables$/m);
      const second = await run(["db", "migrate"], { SUPABASE_DB_URL: url.href });
      expect(second).toMatchObject({ exitCode: 0, stdout: "nothing to do" });
    } finally {
      await server.query(`drop database if exists ${name} with (force)`);
      await server.end();
    }
  });
});

describe("gpu-pool submit", () => {
  it("prints the ids of the inserted tasks, given as flags", async () => {
    const { exitCode, stdout } = await run(["submit", "--prompt", "flags", "--count", "3", "--priority", "-7"]);
    expect(exitCode).toBe(0);
    const ids = stdout.split("\n");
    const rows = await stack.rows("select params, priority, status from tasks where id = any($1)", [ids]);
    expect(rows).toEqual(
      Array.from({ length: 3 }, () => ({ params: { prompt: "flags" }, priority: -7, status: "Queued" })),
    );
    await stack.rows("delete from tasks where id = any($1)", [ids]);
  });

  it("inserts more than one batch, each task once, with its own fields", async () => {
    const lines = Array.from({ length: 1_203 }, (_, index) =>
      JSON.stringify({
        task_type: "generate_video",
        params: { prompt: "x", index },
        ...(index % 2 === 1 && { priority: index }),
      }),
    );
    const { exitCode, stdout } = await runReal(["submit", "--file", "-", "--json"], {}, lines.join("\n"));
    expect(exitCode).toBe(0);
    const { ids } = JSON.parse(stdout) as { ids: string[] };
    const rows = await stack.rows<{ id: string; index: number; priority: number }>(
      "select id, (params->>'index')::int as index, priority from tasks where pool = $1 order by 2",
      [stack.pool],
    );
    expect(rows).toEqual(ids.map((id, index) => ({ id, index, priority: index % 2 === 1 ? index : 0 })));
    await stack.rows("delete from tasks where id = any($1)", [ids]);
  });

  it("inserts nothing if any task is wrong, and names the line and the field", async () => {
    const input =
      '{"task_type":"generate_video","params":{}}\n{"task_type":"generate_video","params":{},"priority":"high"}\n';
    const { exitCode, stderr } = await run(["submit"], {}, input);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("stdin: line 2: priority: expected a whole number");
    expect(await stack.rows("select id from tasks where pool = $1", [stack.pool])).toEqual([]);
  });

  it("names the missing task if another depends on it", async () => {
    const missing = "0b9c4a52-8a52-4a3c-9f3e-0a1b2c3d4e5f";
    const { exitCode, stderr } = await run(["submit", "--prompt", "x", "--depends-on", missing]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(missing);
  });
});

describe("gpu-pool with a pool", () => {
  it("says if no Temporal worker answers, and works when one does", async () => {
    const first = await run(["pool", "start", "--json"]);
    expect(first.stderr).toMatch(/^pool \S+ rents \d+ workers? at once \(MIN \d+\), and at most \d+ \(MAX\)/);
    expect(first.stderr).toMatch(/on NVIDIA GeForce RTX 4090 \(SECURE\), from \$0\.69 an hour each; budget: /);
    const started = JSON.parse(first.stdout) as Record<string, unknown>;
    expect(started).toMatchObject({ pool: stack.pool, wasRunning: false, workflowId: poolWorkflowId(stack.pool) });
    const [order, status] = await Promise.all([run(["scale", "1"]), run(["status"])]);
    expect(order.exitCode).toBe(4);
    expect(order.stderr).toContain("no Temporal worker answered");
    expect(status.stdout).toContain("controller none: its workflow is open, but no Temporal worker answers");

    await stack.serve();
    await expect
      .poll(async () => (await runJson("status"))["controller"])
      .toMatchObject({ state: "answers", phase: "watching" });
    const again = await run(["pool", "start", "--config", '{"maxActiveGpus":2}']);
    expect(again).toMatchObject({ exitCode: 1, stdout: `pool ${stack.pool} was running already` });
    expect(again.stderr).toMatch(/^gpu-pool: --config was not applied/);
    expect(again.stderr).toContain(`gpu-pool config set --pool ${stack.pool} maxActiveGpus=2`);
    const description = await stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool)).describe();
    expect(description.typedSearchAttributes.getAll()).toContainEqual(
      expect.objectContaining({ value: stack.pool, key: expect.objectContaining({ name: "GpuPool" }) as unknown }),
    );
  });

  it("gives orders and prints the new intent", async () => {
    expect(await runJson("scale", "2", "--for", "1h30m")).toMatchObject({ pool: stack.pool, mode: "normal", hold: 2 });
    expect((await run(["pause"])).stdout).toMatch(/: paused, .*; then held at 2 for another 1h29m$/);
    expect((await run(["drain"])).stdout).toContain("draining to zero");
    expect((await run(["scale", "auto"])).stdout).toContain("draining to zero");
    expect((await run(["resume"])).stdout).toBe(`pool ${stack.pool}: normal, the policy decides its size`);
    expect(await stack.rows("select mode, hold from pools where name = $1", [stack.pool])).toEqual([
      { mode: "normal", hold: null },
    ]);
  });

  it("waits for submitted tasks, prints the results' URLs, and shows the work in the status", async () => {
    const done = await runReal(["submit", "--prompt", "a cat", ...SMALL, "--count", "2", "--wait"]);
    expect(done).toMatchObject({ exitCode: 0 });
    const urls = done.stdout.split("\n");
    expect(urls).toHaveLength(2);
    for (const url of urls) {
      const answer = await fetch(url);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("video/mp4");
      await answer.body?.cancel();
    }
    expect(done.stderr).toContain("2 of 2 complete");

    const status = await runJson("status");
    expect(status).toMatchObject({ queue: { open: 0, inProgress: 0, completeLastDay: 2, failedLastDay: 0 } });
    expect(status["lastDecision"]).not.toBeNull();
    const { soFarUsd } = status["cost"] as { soFarUsd: number };
    expect(soFarUsd).toBeGreaterThan(0);
  });

  it("exits with 1 when a task fails, with its id and its reason", async () => {
    const args = ["submit", "--type", "extract_frame", "--param", "input_video_path=a.mp4", "--wait", "--json"];
    const { exitCode, stderr, stdout } = await run(args);
    expect(exitCode).toBe(1);
    const { tasks } = JSON.parse(stdout) as { tasks: { id: string; status: string }[] };
    expect(tasks).toMatchObject([{ status: "Failed" }]);
    expect(stderr).toContain(`${tasks[0]?.id} Failed: params.input_video_path: expected a video`);
  });

  it("lists tasks, shows one by the beginning of its id, and retries or cancels it", async () => {
    const failed = JSON.parse((await run(["tasks", "--status", "failed", "--json"])).stdout) as { id: string }[];
    const id = failed[0]?.id ?? "";
    expect(failed).toMatchObject([{ id, status: "Failed", pool: stack.pool }]);
    const short = id.slice(0, 8);
    const listed = await run(["tasks", "--type", "generate_video", "--since", "1h", "--limit", "2"]);
    expect(listed.stdout.split("\n")).toHaveLength(3);
    expect((await run(["tasks", "--status", "running,cancelled"])).stderr).toBe("no task matches");

    const shown = await run(["task", "show", short]);
    expect(shown.stdout).toMatch(new RegExp(`^${id} Failed\n`));
    expect(shown.stdout).toMatch(/^error +params.input_video_path:/m);
    expect(shown.stdout).toMatch(/task_error/);
    expect(await runJson("task", "show", short)).toMatchObject({ id, attempt_rows: [{ cause: "task_error" }] });
    await expect.poll(async () => (await run(["task", "logs", short])).stdout).toContain(id);

    await run(["drain"]);
    await expect.poll(async () => (await runJson("status"))["workers"]).toEqual([]);
    expect(await runJson("task", "retry", short, "--reason", "once more")).toMatchObject({ outcome: "reopened" });
    expect(await stack.rows("select reason from pool_events where kind = 'task.reopened'")).toEqual([
      { reason: "put back: once more" },
    ]);
    const again = await run(["task", "retry", short]);
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("is Queued: only a failed task") });
    expect((await run(["task", "cancel", short])).stdout).toBe(`task ${id} cancelled`);
    expect((await run(["task", "cancel", short])).stdout).toBe(`task ${id} was cancelled already`);
    expect(await run(["task", "show", "zz"])).toMatchObject({ exitCode: 2 });
    expect(await run(["task", "show", "00000000-0000-4000-8000-000000000000"])).toMatchObject({ exitCode: 3 });
    const [done] = JSON.parse((await run(["tasks", "--status", "complete", "--json"])).stdout) as { id: string }[];
    expect(await run(["task", "cancel", done?.id ?? ""])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("has ended already"),
    });
  });

  it("lists pools and workers, shows a worker that is gone, and shares out what today has cost", async () => {
    expect((await run(["pool", "list"])).stdout).toContain(stack.pool);
    expect((await run(["workers"])).stderr).toContain("--gone 24h");
    const gone = JSON.parse((await run(["workers", "--gone", "1h", "--json"])).stdout) as { id: string }[];
    expect(gone[0]).not.toHaveProperty("token_hash");
    const [completed] = await stack.rows<{ id: string }>(
      "select worker_id as id from task_attempts where cause = 'completed' limit 1",
    );
    const id = completed?.id ?? "";
    expect((await run(["workers", "--gone", "1h"])).stdout).toContain(id);
    const shown = await run(["worker", "show", id]);
    expect(shown.stdout).toMatch(new RegExp(`^${id} terminated, gone\n`));
    expect(shown.stdout).toMatch(/^cost +\$0\.\d{4}; \$0\.69 an hour$/m);
    expect(shown.stdout).toContain("completed");
    await expect.poll(async () => (await run(["worker", "logs", id])).stdout).not.toBe("");
    expect((await run(["worker", "diagnostics", id])).stdout).toContain("it has not failed");
    const failed = [`${stack.pool}-0ff0ff00`, "it broke"];
    await stack.rows(
      "insert into workers (id, pool, status) values ($1, left($1, -9), 'spawning')",
      failed.slice(0, 1),
    );
    await stack.rows("update workers set status = 'error', status_reason = $2, gone_at = now() where id = $1", failed);
    const kept = await runJson("worker", "diagnostics", `${stack.pool}-0ff`);
    expect(kept).toMatchObject({ provider: "it never had a pod", records: [{ reason: "it broke" }] });

    const { account } = await runJson("status");
    const { todayUsd } = account as { todayUsd: number };
    const shares = async (by: string) => {
      expect((await run(["costs", "--by", by])).stdout).toMatch(/^\$\d\.\d\d today since 00:00 UTC, all pools\n/);
      const { costs } = await runJson("costs", "--by", by);
      return (costs as { usd: number }[]).reduce((sum, { usd }) => sum + usd, 0);
    };
    expect(await shares("pool")).toBeCloseTo(todayUsd, 3);
    expect(await shares("worker")).toBeCloseTo(todayUsd, 3);
    // A worker that held no task is in no task's share.
    const ofTasks = await shares("task");
    expect(ofTasks).toBeGreaterThan(0);
    expect(ofTasks).toBeLessThan(todayUsd + 1e-3);
  });

  it("spawn raises the size above the present one, and submit warns of a pool that never ran", async () => {
    await run(["resume"]);
    const { hold } = await runJson("spawn", "2", "--for", "1h");
    expect(hold).toBeGreaterThanOrEqual(2);
    expect(await runJson("spawn")).toMatchObject({ hold: Number(hold) + 1, mode: "normal" });
    await run(["scale", "auto"]);
    const { exitCode, stderr } = await run(["submit", "--prompt", "x", "--pool", "mistyped"]);
    expect(exitCode).toBe(0);
    expect(stderr).toBe(
      `gpu-pool: warning: these tasks wait for pool mistyped, which has never run. The only pool is ${stack.pool}.`,
    );
  });
});
