import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { notificationStore } from "../../../src/supabase/notification-store.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { ensureAlertWebhook } from "../../../src/worker/alert-webhook.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";
import { runClient } from "../../kit/client.ts";

describe("gpu-pool notifications", () => {
  let api: QueueApi;
  let cwd = "";
  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), "notifications-"));
    api = await openQueueApi();
  });
  afterAll(async () => {
    await api?.close();
    await rm(cwd, { recursive: true, force: true });
  });

  const run = (...args: string[]) => gpuPool("notifications", ...args);
  const gpuPool = (...args: string[]) =>
    runClient(args, {
      cwd,
      env: {
        SUPABASE_URL: api.url,
        SUPABASE_ANON_KEY: api.keys.anonKey,
        SUPABASE_SERVICE_ROLE_KEY: api.keys.serviceRoleKey,
      },
    });
  async function json<T>(...args: string[]): Promise<T> {
    const { exitCode, stdout, stderr } = await run(...args, "--json");
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return JSON.parse(stdout) as T;
  }

  it("adds an endpoint with a key of its own, lists it without the key, and removes it", async () => {
    const project = await api.queue.newProject();
    const added = await json<{ id: string; secret: string }>("add", "http://127.0.0.1:1/hook", "--project", project);
    expect(added.secret).toMatch(/^[0-9a-f]{64}$/);
    const listed = await run("list");
    expect(listed.stdout).toContain(added.id);
    expect(listed.stdout).not.toContain(added.secret);
    expect(await json("list")).toMatchObject([
      { id: added.id, project_id: project, pool: null, kinds: ["task.completed", "task.failed"], enabled: true },
    ]);
    expect(await run("remove", added.id.slice(0, 13))).toMatchObject({ exitCode: 0 });
    expect(await json("list")).toEqual([]);
    expect(await run("remove", added.id)).toMatchObject({ exitCode: 3 });
  });

  it("keeps one endpoint for ALERT_WEBHOOK_URL: it is made, replaced and removed with the setting, and shown by its host", async () => {
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    const logged: string[] = [];
    const logger = pino({}, { write: (line: string) => void logged.push(line) });
    const set = async (alertWebhookUrl?: string, alertWebhookFormat?: "json" | "slack") =>
      await ensureAlertWebhook(notificationStore(database), { alertWebhookUrl, alertWebhookFormat }, logger);
    const stored = () => api.queue.rows("select url, format, kinds, pool from notification_endpoints order by url");
    const made = { kinds: ["pool.alert"], pool: null };
    await set("https://hooks.slack.com/services/hidden");
    await set("https://hooks.slack.com/services/hidden");
    expect(await stored()).toEqual([{ url: "https://hooks.slack.com/services/hidden", format: "slack", ...made }]);
    expect((await run("list")).stdout).toContain("https://hooks.slack.com/…");
    expect(JSON.stringify(await json("list"))).not.toContain("hidden");
    await set("https://example.com/hidden");
    expect(await stored()).toEqual([{ url: "https://example.com/hidden", format: "json", ...made }]);
    await set("https://example.com/hidden", "slack");
    expect(await stored()).toMatchObject([{ format: "slack" }]);
    await json("add", "https://example.com/own", "--format", "slack");
    await set();
    expect(await stored()).toMatchObject([{ url: "https://example.com/own", format: "slack" }]);
    await api.queue.rows("delete from notification_endpoints");
    expect(logged).toEqual([]);
  });

  it("shows the alerts of a pool, also those that are over", async () => {
    const pool = await api.queue.newPool();
    const alerts = (...args: string[]) => gpuPool("alerts", "--pool", pool, ...args);
    expect(await alerts()).toMatchObject({ exitCode: 0, stderr: `no alert is open for pool ${pool}` });
    await api.queue.rows("select open_alert('queue_waiting', $1, $1, 'a task waits')", [pool]);
    expect((await alerts()).stdout).toMatch(
      new RegExp(`^queue_waiting ${pool}, since .* UTC, for .*\n  a task waits\n  → `),
    );
    await api.queue.rows("select close_alert('queue_waiting', $1)", [pool]);
    expect((await alerts()).stdout).toBe("");
    expect(JSON.parse((await alerts("--all", "--json")).stdout)).toMatchObject([
      { kind: "queue_waiting", message: "a task waits" },
    ]);
  });

  it("shows notifications that were given up, and sends them again", async () => {
    const { id } = await json<{ id: string }>("add", "http://127.0.0.1:1/hook", "--kinds", "pool.alert");
    await api.queue.rows(
      `insert into outbox (kind, payload, endpoint_id, attempts, dead_at, last_error)
       select 'pool.alert', '{}', $1, 10, case when n < 4 then now() end, 'HTTP 500' from generate_series(1, 4) as n`,
      [id],
    );
    const dead = await json<{ id: number; last_error: string }[]>("dead");
    expect(dead).toHaveLength(3);
    expect((await run("dead")).stdout).toContain("HTTP 500");
    expect((await run("retry", String(dead[0]!.id))).stdout).toBe("1 to be delivered again");
    expect((await run("retry", "all")).stdout).toBe("2 to be delivered again");
    expect(await json("dead")).toEqual([]);
    const due = await api.queue.rows(
      "select 1 from outbox where endpoint_id = $1 and attempts = 0 and next_attempt_at < now()",
      [id],
    );
    expect(due).toHaveLength(3);
  });

  it("opens an alert when a notification is given up, which closes with a delivery or with the endpoint", async () => {
    const { id } = await json<{ id: string }>("add", "https://user:hidden@example.com/hidden", "--kinds", "pool.alert");
    const open = () =>
      api.queue.rows("select kind, message from alerts where subject = $1 and closed_at is null", [id]);
    const send = async () =>
      (
        await api.queue.one<{ id: string }>(
          "insert into outbox (kind, payload, endpoint_id) values ('pool.alert', '{}', $1) returning id",
          [id],
        )
      ).id;
    const dies = async () => {
      const args = { p_id: await send(), p_error: "HTTP 410", p_retry_sec: 0, p_dead: true };
      expect(await api.queue.call("outbox_failed", args)).toBe(true);
      expect(await open()).toEqual([{ kind: "webhook_dead", message: "notifications to example.com die: HTTP 410" }]);
    };
    await dies();
    expect(await api.queue.call("outbox_delivered", { p_id: await send() })).toBe(true);
    expect(await open()).toEqual([]);
    await dies();
    await json("remove", id);
    expect(await open()).toEqual([]);
  });

  it("names the error in a wrong input", async () => {
    for (const [args, said] of [
      [["add", "ftp://host/"], "Expected an http or https address."],
      [["add", "http://host/", "--kinds", "task.started"], "Expected some of task.completed, task.failed, pool.alert"],
      [["retry", "one"], "one is no notification's id"],
    ] as const) {
      const { exitCode, stderr } = await run(...args);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(said);
    }
    const { exitCode, stderr } = await run("add", "http://host/", "--project", randomUUID());
    expect(exitCode).toBe(1);
    expect(stderr).toContain("is not present in table");
  });

  it("is closed to the public key", async () => {
    const anyone = api.client(api.keys.anonKey);
    const attempts = [
      await anyone.from("notification_endpoints").select(),
      await anyone.from("outbox").select(),
      await anyone.from("notification_endpoints").insert({ url: "http://169.254.169.254/" }),
      await anyone.rpc("outbox_take", { p_limit: 1 }),
      await anyone.rpc("outbox_failed", { p_id: 1, p_error: "x", p_retry_sec: 0, p_dead: true }),
    ];
    expect(attempts.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
  });
});
