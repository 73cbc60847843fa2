import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLogReader } from "../../../src/supabase/log-reader.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";
import { launchClient, runClient } from "../../kit/client.ts";

const TASK = randomUUID();

describe("gpu-pool logs", () => {
  let api: QueueApi;
  let cwd = "";
  let env: Record<string, string> = {};
  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), "logs-"));
    api = await openQueueApi();
    env = {
      SUPABASE_URL: api.url,
      SUPABASE_ANON_KEY: api.keys.anonKey,
      SUPABASE_SERVICE_ROLE_KEY: api.keys.serviceRoleKey,
    };
  });
  afterAll(async () => {
    await api?.close();
    await rm(cwd, { recursive: true, force: true });
  });

  const log = (message: string, columns: Record<string, unknown> = {}) => {
    const row = { source_type: "worker", source_id: "w-1", worker_id: "w-1", log_level: "INFO", message, ...columns };
    const names = Object.keys(row);
    return api.queue.rows(
      `insert into system_logs (${names.join(", ")}) values (${names.map((_, index) => `$${index + 1}`).join(", ")})`,
      Object.values(row),
    );
  };
  async function messages(...args: string[]): Promise<string[]> {
    const { exitCode, stdout, stderr } = await runClient(["logs", "--json", ...args], { cwd, env });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    const lines = stdout.split("\n").filter(Boolean);
    return lines.map((line) => (JSON.parse(line) as { message: string }).message);
  }

  it("reports on stderr that nothing matches", async () => {
    const { exitCode, stdout, stderr } = await runClient(["logs"], { cwd, env });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(stderr).toContain("no log lines match");
  });

  it("filters by worker, task, level, source and age, and prints the newest lines in the order of their age", async () => {
    await log("old", { timestamp: new Date(Date.now() - 3 * 3_600_000).toISOString() });
    await log("debug", { log_level: "DEBUG" });
    await log("of a task", { task_id: TASK, log_level: "ERROR" });
    await log("other worker", { worker_id: "w-2", source_id: "w-2" });
    await log("pool", {
      source_type: "orchestrator_gpu",
      source_id: "host:1",
      worker_id: "w-2",
      log_level: "CRITICAL",
    });
    expect(await messages()).toEqual(["old", "debug", "of a task", "other worker", "pool"]);
    expect(await messages("--limit", "2")).toEqual(["other worker", "pool"]);
    expect(await messages("--worker", "w-2")).toEqual(["other worker", "pool"]);
    expect(await messages("--task", TASK)).toEqual(["of a task"]);
    expect(await messages("--level", "error")).toEqual(["of a task", "pool"]);
    expect(await messages("--source", "orchestrator")).toEqual(["pool"]);
    expect(await messages("--source", "worker", "--since", "2h", "--level", "info")).toEqual([
      "of a task",
      "other worker",
    ]);
  });

  it("prints lines for people, without control sequences for the terminal", async () => {
    await log("evil \u001b[2J message", {
      worker_id: "w-3",
      source_id: "w-3",
      task_id: TASK,
      metadata: { err: { message: "boom" }, n: 1 },
    });
    const { stdout } = await runClient(["logs", "--worker", "w-3"], { cwd, env });
    expect(stdout).toMatch(/^\d\d-\d\d \d\d:\d\d:\d\d INFO {5}w-3 evil  message: boom task=[0-9a-f-]{36} n=1\n?$/);
  });

  it("names the wrong option, with exit code 2", async () => {
    for (const [args, said] of [
      [["--level", "loud"], "Expected one of debug, info, warning, error, critical."],
      [["--task", "x"], "x is no task's id, nor the beginning of one"],
      [["--since", "soon"], "expected a duration such as 90s"],
      [["--limit", "0"], "Expected a whole number from 1 to 100000."],
    ] as const) {
      const { exitCode, stderr } = await runClient(["logs", ...args], { cwd, env });
      expect(exitCode).toBe(2);
      expect(stderr).toContain(said);
    }
  });

  it("follows the log until it is stopped, and prints each line once", async () => {
    const client = launchClient(["logs", "--follow", "--json", "--worker", "w-4"], { cwd, env });
    let out = "";
    client.stdout.on("data", (part: Buffer) => (out += part.toString("utf8")));
    try {
      await log("before", { worker_id: "w-4" });
      await expect.poll(() => out).toContain("before");
      await log("after", { worker_id: "w-4" });
      await log("of another", { worker_id: "w-5" });
      await log("last", { worker_id: "w-4" });
      await expect.poll(() => out).toContain("last");
    } finally {
      client.kill("SIGINT");
    }
    const { exitCode } = await client;
    expect(exitCode).toBe(0);
    const shown = out
      .split("\n")
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { message: string }).message);
    expect(shown).toEqual(["before", "after", "last"]);
  });

  it("misses no line that was written early and committed late", async () => {
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    const reader = createLogReader(database, { worker: "w-6" });
    await reader.latest(10);
    const session = await api.queue.session();
    const insert = (message: string) =>
      `insert into system_logs (source_type, worker_id, log_level, message) values ('worker', 'w-6', 'INFO', '${message}')`;
    await session.rows("begin");
    await session.rows(insert("late"));
    await api.queue.rows(insert("early"));
    expect((await reader.next()).map(({ message }) => message)).toEqual(["early"]);
    await session.rows("commit");
    expect((await reader.next()).map(({ message }) => message)).toEqual(["late"]);
    expect(await reader.next()).toEqual([]);
    await session.end();
  });

  it("reads more lines than the service answers at once", async () => {
    await api.queue.rows(`insert into system_logs (source_type, worker_id, log_level, message)
      select 'worker', 'w-7', 'INFO', n::text from generate_series(1, 2500) as n`);
    const all = await messages("--worker", "w-7", "--limit", "2400");
    expect([all.length, all[0], all.at(-1)]).toEqual([2_400, "101", "2500"]);
  });
});
