import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NOTIFICATIONS_WORKFLOW, notificationsWorkflowId } from "../../../src/contract/upkeep.ts";
import { retryDelaySec } from "../../../src/activities/outbox.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Requests to /hang that the sender had given up before. */
  readonly givenUp: number;
}

/** Answers by path: /ok with 200, /moved with a redirect to /ok, /hang never, any other path with 500. */
async function startReceiver() {
  const received: Received[] = [];
  let givenUp = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString("utf8")));
    request.on("end", () => {
      const path = request.url ?? "";
      received.push({ path, headers: request.headers, body, givenUp });
      if (path === "/hang") {
        response.once("close", () => (givenUp += 1));
        return;
      }
      if (path === "/moved") {
        response.setHeader("location", "/ok");
      }
      response.statusCode = path.startsWith("/ok") ? 204 : path === "/moved" ? 302 : 500;
      response.end("a page that is not read");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    at: (path: string) => received.filter((request) => request.path === path),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const SECRET = "a-secret-of-enough-characters";

describe("the outbox", () => {
  let stack: TestStack;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let workflowId = "";

  beforeAll(async () => {
    receiver = await startReceiver();
    stack = await startTestStack({ env: { NOTIFICATIONS_ALLOW_PRIVATE: "true" } });
    await stack.serve();
    const { taskQueue } = stack.config.temporal;
    workflowId = notificationsWorkflowId(taskQueue);
    await stack.temporal.workflow.start(NOTIFICATIONS_WORKFLOW, { workflowId, taskQueue, args: [{}] });
  });
  afterAll(async () => {
    await stack?.temporal.workflow.getHandle(workflowId).terminate("the test is over");
    receiver?.close();
    await stack?.close();
  });

  async function newProject(): Promise<string> {
    return (await stack.rows<{ id: string }>("insert into projects (name) values ('p') returning id"))[0]!.id;
  }
  async function newEndpoint(path: string, columns: { project?: string; pool?: string; kinds?: string[] } = {}) {
    const values = [
      receiver.url + path,
      SECRET,
      columns.project,
      columns.pool,
      columns.kinds ?? ["task.completed", "task.failed"],
    ];
    const [row] = await stack.rows<{ id: string }>(
      `insert into notification_endpoints (url, secret, project_id, pool, kinds) values ($1, $2, $3, $4, $5) returning id`,
      values,
    );
    return row!.id;
  }
  /** A task that a worker has ended. */
  async function endTask(project: string, status: "Complete" | "Failed", columns: object = {}): Promise<string> {
    const [task] = await stack.rows<{ id: string }>(
      "insert into tasks (task_type, pool, project_id) values ('generate_video', 'elsewhere', $1) returning id",
      [project],
    );
    const names = Object.keys(columns);
    await stack.rows(
      `update tasks set status = $2${names.map((name, index) => `, ${name} = $${index + 3}`).join("")} where id = $1`,
      [task!.id, status, ...Object.values(columns)],
    );
    return task!.id;
  }
  const outboxOf = (endpoint: string) =>
    stack.rows<{ id: string; attempts: number; last_error: string | null; done: boolean; dead: boolean; wait: number }>(
      `select id, attempts, last_error, delivered_at is not null as done, dead_at is not null as dead,
        round(extract(epoch from next_attempt_at - now()))::int as wait
      from outbox where endpoint_id = $1 order by id`,
      [endpoint],
    );

  it("notifies a project's endpoint of a completed task, signed, with a delivery id", async () => {
    const project = await newProject();
    const endpoint = await newEndpoint("/ok/completed", { project });
    const task = await endTask(project, "Complete", {
      output_location: "https://storage/video.mp4",
      result_data: { processing_time_seconds: 145.3 },
      attempts: 1,
    });
    await expect.poll(() => receiver.at("/ok/completed")).toHaveLength(1);
    const { headers, body } = receiver.at("/ok/completed")[0]!;
    const [row] = await outboxOf(endpoint);
    expect(JSON.parse(body)).toEqual({
      event: "task.completed",
      delivery: row!.id,
      created_at: expect.any(String) as string,
      task_id: task,
      status: "Complete",
      project_id: project,
      attempt: 1,
      video_url: "https://storage/video.mp4",
      processing_time: 145.3,
      error: null,
    });
    expect(headers["x-gpupool-delivery"]).toBe(row!.id);
    const [, at = "", mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["x-gpupool-signature"])) ?? [];
    expect(mac).toBe(createHmac("sha256", SECRET).update(`${at}.${body}`).digest("hex"));
    expect(Math.abs(Number(at) - Date.now() / 1000)).toBeLessThan(600);
    await expect.poll(async () => (await outboxOf(endpoint))[0]).toMatchObject({ done: true, attempts: 1 });
  });

  it("notifies of a failed task and of those that fail with it, once each", async () => {
    const project = await newProject();
    await newEndpoint("/ok/failed", { project });
    const [parent] = await stack.rows<{ id: string }>(
      "insert into tasks (task_type, pool, project_id) values ('generate_video', 'elsewhere', $1) returning id",
      [project],
    );
    const child =
      "insert into tasks (task_type, pool, project_id, dependant_on) values ('generate_video', 'elsewhere', $1, $2)";
    await stack.rows(child, [project, parent!.id]);
    await stack.rows("update tasks set status = 'Failed', error_message = 'out of memory' where id = $1", [parent!.id]);
    await stack.rows(child, [project, parent!.id]);
    const errors = () => receiver.at("/ok/failed").map(({ body }) => (JSON.parse(body) as { error: string }).error);
    await expect
      .poll(() => errors().toSorted())
      .toEqual([
        `depends on task ${parent!.id}, which is Failed`,
        `depends on task ${parent!.id}, which is Failed`,
        "out of memory",
      ]);
  });

  it("notifies no endpoint of another project's or pool's event, of a kind not subscribed, or of a cancelled task", async () => {
    const [project, other] = [await newProject(), await newProject()];
    const endpoints = [
      await newEndpoint("/ok/nothing", { project: other }),
      await newEndpoint("/ok/nothing", { project, pool: "another" }),
      await newEndpoint("/ok/nothing", { project, kinds: ["task.failed", "pool.alert"] }),
    ];
    const everything = await newEndpoint("/ok/everything", { pool: "elsewhere" });
    await endTask(project, "Complete");
    await endTask(project, "Cancelled" as "Failed");
    expect(await outboxOf(everything)).toHaveLength(1);
    for (const endpoint of endpoints) {
      expect(await outboxOf(endpoint)).toEqual([]);
    }
  });

  it("delivers an alert of a pool, once when it opens and once when it closes", async () => {
    await newEndpoint("/ok/alerts", { pool: "alerted", kinds: ["pool.alert"] });
    const open = (pool: string) => `open_alert('pool_silent', '${pool}', '${pool}', 'no decision for an hour')`;
    await stack.rows(`select ${open("alerted")}, ${open("quiet")}`);
    await stack.rows(`select ${open("alerted")}, close_alert('pool_silent', 'alerted')`);
    await expect.poll(() => receiver.at("/ok/alerts").length).toBe(2);
    const bodies = receiver.at("/ok/alerts").map(({ body }) => JSON.parse(body) as { state: string });
    const told = { event: "pool.alert", pool: "alerted", alert: "pool_silent", message: "no decision for an hour" };
    expect(bodies.find(({ state }) => state === "opened")).toMatchObject({ ...told, closed_at: null });
    expect(bodies.find(({ state }) => state === "closed")).toMatchObject(told);
  });

  it("sends an endpoint of the format slack one text, signed like any other", async () => {
    const endpoint = await newEndpoint("/ok/slack", { pool: "slacked", kinds: ["pool.alert", "task.failed"] });
    await stack.rows("update notification_endpoints set format = 'slack' where id = $1", [endpoint]);
    await stack.rows("select open_alert('queue_waiting', 'slacked', 'slacked', 'a task waits for <5> & more minutes')");
    await expect.poll(() => receiver.at("/ok/slack")).toHaveLength(1);
    const { body, headers } = receiver.at("/ok/slack")[0]!;
    const [advice] = await stack.rows<{ what_to_do: string }>(
      "select what_to_do from alert_kinds where kind = 'queue_waiting'",
    );
    expect(JSON.parse(body)).toEqual({
      text: `gpu-pool: queue_waiting opened (slacked)\na task waits for &lt;5&gt; &amp; more minutes\n${advice!.what_to_do}`,
    });
    const [, at = "", mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["x-gpupool-signature"])) ?? [];
    expect(mac).toBe(createHmac("sha256", SECRET).update(`${at}.${body}`).digest("hex"));
  });

  it("retries a delivery that an endpoint did not accept, with the same delivery id, and follows no redirect", async () => {
    const project = await newProject();
    const endpoints = [await newEndpoint("/broken", { project }), await newEndpoint("/moved", { project })];
    await endTask(project, "Complete");
    for (const [index, problem] of ["HTTP 500", "HTTP 302"].entries()) {
      await expect.poll(async () => (await outboxOf(endpoints[index]!))[0]?.last_error).toBe(problem);
    }
    const [row] = await outboxOf(endpoints[0]!);
    expect(row).toMatchObject({ done: false, dead: false });
    await stack.rows("update outbox set next_attempt_at = now() where id = $1", [row!.id]);
    await expect.poll(() => receiver.at("/broken").length).toBeGreaterThan(1);
    expect(new Set(receiver.at("/broken").map(({ headers }) => headers["x-gpupool-delivery"]))).toEqual(
      new Set([row!.id]),
    );
  });

  it("gives up after the tenth attempt, and journals that without address or secret", async () => {
    const project = await newProject();
    const endpoint = await newEndpoint("/dead?key=hidden", { project });
    const task = await endTask(project, "Failed");
    await expect.poll(async () => (await outboxOf(endpoint))[0]?.last_error).toBe("HTTP 500");
    await stack.rows("update outbox set attempts = 9, next_attempt_at = now() where endpoint_id = $1", [endpoint]);
    await expect.poll(async () => (await outboxOf(endpoint))[0]).toMatchObject({ dead: true, attempts: 10 });
    const events = await stack.rows<{ reason: string; details: object }>(
      "select reason, details from pool_events where kind = 'notification.dead' and pool = 'elsewhere'",
    );
    expect(events).toMatchObject([
      {
        reason: "task.failed could not be delivered in 10 attempts; last: HTTP 500",
        details: { endpoint_id: endpoint, payload: { task_id: task } },
      },
    ]);
    expect(JSON.stringify(events)).not.toMatch(/hidden|a-secret/);
  });

  it("delivers to others while one endpoint never answers", async () => {
    const [slow, quick] = [await newProject(), await newProject()];
    const silent = await newEndpoint("/hang", { project: slow });
    await newEndpoint("/ok/quick", { project: quick });
    for (let n = 0; n < 5; n += 1) {
      await endTask(slow, "Complete");
    }
    await expect.poll(() => receiver.at("/hang").length).toBe(5);
    await endTask(quick, "Complete");
    await expect.poll(() => receiver.at("/ok/quick")).toMatchObject([{ givenUp: 0 }]);
    const error = async () => (await outboxOf(silent))[0]?.last_error;
    await expect.poll(error).toBe("no answer within 10 s");
  });

  it("gives a taken row to no other sender until its minute is over", async () => {
    const endpoint = await newEndpoint("/ok/taken", { pool: "taken" });
    await stack.rows("update notification_endpoints set enabled = false where id = $1", [endpoint]);
    await stack.rows(
      "insert into outbox (kind, payload, endpoint_id) select 'task.completed', '{}', $1 from generate_series(1, 7)",
      [endpoint],
    );
    const TAKE =
      "select id from jsonb_to_recordset(outbox_take(100)) as t (id text, endpoint_id uuid) where endpoint_id = $1";
    expect(await stack.rows(TAKE, [endpoint])).toEqual([]);
    const client = await stack.database.sql.connect();
    try {
      // Enabled in this transaction only, so that the running sender does not see it.
      await client.query("begin");
      await client.query("update notification_endpoints set enabled = true where id = $1", [endpoint]);
      const take = async () => (await client.query<{ id: string }>(TAKE, [endpoint])).rows;
      const [first, second, third] = [await take(), await take(), await take()];
      expect([first.length, second.length, third.length]).toEqual([5, 2, 0]);
      await client.query(
        "update outbox set next_attempt_at = next_attempt_at - interval '1 minute' where endpoint_id = $1",
        [endpoint],
      );
      expect(await take()).toHaveLength(5);
    } finally {
      await client.query("rollback");
      client.release();
    }
  });

  it("keeps addresses, secrets and payloads out of the workflow's history", async () => {
    const { events } = await stack.temporal.workflow.getHandle(workflowId).fetchHistory();
    const text = JSON.stringify(events, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : value,
    );
    expect(text).not.toMatch(/a-secret-of|127\.0\.0\.1:\d+\/ok/);
  });
});

describe("the pause before the next attempt", () => {
  it("begins at 5 s, doubles, and grows to an hour at most", () => {
    expect([1, 2, 3, 9, 10, 20].map(retryDelaySec)).toEqual([5, 10, 20, 1280, 2560, 3600]);
  });
});
