import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi } from "../../kit/api.ts";
import { PG_NET, pgCron, sendRequests, VAULT } from "../../kit/hosted/extensions.ts";

const INSTALL = "sql/optional/pg_cron_wake.sql";
const REMOVE = "sql/optional/pg_cron_wake_remove.sql";
const SECRET = "s".repeat(32);

describe("a request to wake a pool, and the optional SQL that makes pg_cron ask", () => {
  let api: PeopleApi;
  beforeAll(async () => {
    api = await openPeopleApi();
  });
  beforeEach(async () => {
    await api.queue.rows("delete from worker_processes");
    await api.queue.rows("delete from wake_requests");
    await api.queue.rows("delete from alerts");
    await api.queue.call("set_wake_secret", { p_secret: SECRET });
  });
  afterAll(() => api?.close());

  const rows: PeopleApi["queue"]["rows"] = (...args) => api.queue.rows(...args);
  const wake = async (body: unknown = {}, bearer: string | null = SECRET, name = "orchestrator-wake") =>
    await api.call(name, bearer, body);
  const beat = async () =>
    await api.queue.call<{ wake: string[] }>("process_beat", {
      p_process: randomUUID(),
      p_host: "host",
      p_pid: 1,
      p_version: "0.1.0",
      p_task_queue: "q",
    });
  const openAlerts = async () => await rows<{ kind: string }>("select kind from alerts where closed_at is null");

  it("asks for main, or for the only pool, where it names none", async () => {
    await beat();
    const pool = await api.queue.newPool();
    expect(await wake("")).toMatchObject({ status: 202, body: { pool, outcome: "requested" } });
    await api.queue.newPool();
    expect((await wake()).status).toBe(404);
    await rows("insert into pools (name) values ('main')");
    expect(await wake({}, SECRET, "orchestrator_wake")).toMatchObject({ status: 202, body: { pool: "main" } });
  });

  it("is refused without its own secret, whoever asks, and while there is none", async () => {
    const ann = await api.newPerson();
    const worker = await api.queue.newWorker(await api.queue.newPool());
    await api.giveToken(worker, "gpw_token");
    const { serviceRoleKey, secretKey, anonKey } = api.keys;
    const others = [null, serviceRoleKey, secretKey, anonKey, ann.jwt, ann.token, "gpw_token", "t".repeat(32)];
    for (const bearer of others) {
      expect(await wake({ pool: "main" }, bearer)).toMatchObject({ status: 401, body: { error: "unauthorized" } });
    }
    await api.queue.call("set_wake_secret", { p_secret: null });
    expect(await wake()).toMatchObject({ status: 401, body: { message: expect.stringContaining("sql/optional/") } });
    await expect(api.queue.call("set_wake_secret", { p_secret: "short" })).rejects.toMatchObject({ code: "PT400" });
  });

  it("names the pools where its own does not exist, and what is wrong with its body", async () => {
    const pool = await api.queue.newPool();
    expect(await wake({ pool: "nowhere" })).toMatchObject({
      status: 404,
      body: { error: "not_found", field: "pool", message: expect.stringMatching(`nowhere does not exist.*${pool}`) },
    });
    for (const [body, status] of [
      ["[]", 400],
      ["{", 400],
      [{ pool: 1 }, 400],
      [{ pool: "x".repeat(1000) }, 413],
      [{ pool: "" }, 400],
      [{ pool: ["main"] }, 400],
      [{ pool: "a\u0000b" }, 404],
      [{ pool: "\ud800" }, 404],
      [{ pool: "%_'; --" }, 404],
      ["null", 400],
      [{ pool, secret: "x", other: [1] }, 503],
    ] as const) {
      expect([body, (await wake(body)).status]).toEqual([body, status]);
    }
    expect((await api.ask("GET", "/functions/v1/orchestrator-wake", SECRET)).status).toBe(405);
  });

  it("counts once with all others until a process takes it", async () => {
    const pool = await api.queue.newPool();
    await beat();
    const answers = await Promise.all(Array.from({ length: 30 }, () => wake({ pool })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect((await beat()).wake).toEqual([pool]);
    expect((await beat()).wake).toEqual([]);
  });

  it("is answered 503, with an alert, while no process lives; the next sign of life closes the alert", async () => {
    const pool = await api.queue.newPool();
    await beat();
    await rows("update worker_processes set seen_at = now() - interval '59 seconds'");
    expect((await wake({ pool })).status).toBe(202);
    await rows("update worker_processes set seen_at = now() - interval '60 seconds'");
    expect(await wake({ pool })).toMatchObject({ status: 503, body: { error: "no_worker_process" } });
    expect(await openAlerts()).toEqual([{ kind: "no_worker_process" }]);
    await wake({ pool });
    await beat();
    expect(await openAlerts()).toEqual([]);
    expect((await rows("select from alerts")).length).toBe(1);
  });

  it.each([
    ["was shut down", "mode = 'closing'", "shut_down"],
    ["runs without an end", "should_run = true", "runs"],
  ])("changes nothing where the pool %s", async (_what, state, outcome) => {
    const pool = await api.queue.newPool();
    await rows(`update pools set ${state} where name = $1`, [pool]);
    await beat();
    expect(await wake({ pool })).toMatchObject({ status: 200, body: { pool, outcome } });
    expect(await rows("select from wake_requests")).toEqual([]);
    await rows("update pools set mode = 'normal', should_run = false where name = $1", [pool]);
  });
  const run = async (file: string) => await rows(await readFile(file, "utf8"));
  const jobs = async () =>
    await rows<{ jobname: string; schedule: string; command: string }>("select * from cron.job order by jobid");

  it("cannot come from pg_cron while something is missing: the SQL says what, step by step", async () => {
    await expect(run(INSTALL)).rejects.toThrow("Vault is missing");
    await rows(VAULT);
    await rows(PG_NET);
    await rows(pgCron(false));
    await expect(run(INSTALL)).rejects.toMatchObject({
      message: expect.stringContaining("no address of the project"),
      hint: expect.stringContaining("vault.create_secret("),
    });
    await rows("select vault.create_secret($1, 'gpu_pool_project_url')", [`${api.url}/`]);
    await expect(run(INSTALL)).rejects.toMatchObject({
      message: expect.stringContaining("refuses the schedule 30 seconds: invalid schedule"),
      hint: expect.stringContaining("pg_cron 1.5"),
    });
    expect(await rows("select from vault.secrets")).toHaveLength(1);
  });

  it("comes every 30 seconds from a job of the SQL, with a secret that only Vault shows; the SQL may be run again", async () => {
    await rows("drop schema cron cascade");
    await rows(pgCron(true));
    await run(INSTALL);
    const before = await rows("select * from vault.secrets order by name");
    await run(INSTALL);
    expect(await rows("select * from vault.secrets order by name")).toEqual(before);
    const [job, ...others] = await jobs();
    expect(job).toMatchObject({ jobname: "gpu-pool-wake-main", schedule: "30 seconds" });
    expect(others).toHaveLength(1);
    const [{ decrypted_secret: secret = "" } = {}] = await rows<{ decrypted_secret?: string }>(
      "select decrypted_secret from vault.decrypted_secrets where name = 'gpu_pool_wake_secret'",
    );
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(await jobs())).not.toContain(secret);

    await rows(job?.command ?? "");
    expect(await sendRequests(rows)).toEqual([503]);
    await beat();
    await rows(job?.command ?? "");
    expect(await sendRequests(rows)).toEqual([202]);
    expect(await rows("select pool from wake_requests")).toEqual([{ pool: "main" }]);
    await rows(others[0]?.command ?? "");
  });

  it("comes no more after the counterpart of the SQL, which may be run again too", async () => {
    const [job] = await jobs();
    await run(REMOVE);
    await run(REMOVE);
    expect(await jobs()).toEqual([]);
    expect(await rows("select from vault.secrets")).toEqual([]);
    expect(await rows("select from wake_requests")).toEqual([]);
    await rows("select vault.create_secret($1, 'gpu_pool_project_url')", [api.url]);
    await rows("select vault.create_secret($1, 'gpu_pool_wake_secret')", [SECRET]);
    await rows(job?.command ?? "");
    expect(await sendRequests(rows)).toEqual([401]);
  });
});
