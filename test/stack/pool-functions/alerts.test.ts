import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type AlertMemory, settleAlerts } from "../../../src/activities/observed-alerts.ts";
import { ACCOUNT } from "../../../src/contract/alerts.ts";
import { decide } from "../../../src/policy/decide.ts";
import { type AlertStore, alertStore } from "../../../src/supabase/alert-store.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { observe, SETTINGS } from "../../kit/policy.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

describe("an alert", () => {
  let api: QueueApi;
  let alerts: AlertStore;
  let pool: string;
  let other: string;
  beforeAll(async () => {
    api = await openQueueApi();
    alerts = alertStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
  });
  beforeEach(async () => {
    [pool, other] = [await api.queue.newPool(), await api.queue.newPool()];
    await api.queue.rows("delete from notification_endpoints");
    await api.queue.rows("delete from alerts");
    await api.queue.rows("insert into notification_endpoints (url, pool, kinds) values ($1, $2, '{pool.alert}')", [
      "http://127.0.0.1:9/",
      pool,
    ]);
  });
  afterAll(() => api?.close());

  const silent = (subject: string, message = "no decision for an hour") => ({ kind: "pool_silent", subject, message });
  const opened = async (of = pool) => (await alerts.list({ pool: of })).map(({ subject }) => subject).toSorted();
  const told = () =>
    api.queue.rows<{ state: string; subject: string }>(
      "select payload ->> 'state' as state, payload ->> 'subject' as subject from outbox order by id",
    );
  const journaled = (of = pool) =>
    api.queue.rows<{ kind: string; reason: string; details: object }>(
      "select kind, reason, details from pool_events where pool = $1 order by id",
      [of],
    );

  it("opens once and closes once, however often it is asked for; each is journaled and notified once", async () => {
    expect([await alerts.open(silent(pool), pool), await alerts.open(silent(pool), pool)]).toEqual([true, false]);
    expect(await alerts.open(silent(pool, "no decision for two hours"), pool)).toBe(false);
    expect(await alerts.list({ pool })).toEqual([
      {
        kind: "pool_silent",
        subject: pool,
        pool,
        message: "no decision for two hours",
        whatToDo: expect.stringContaining("Temporal worker") as string,
        openedAt: expect.any(String) as string,
        closedAt: null,
      },
    ]);
    expect([await alerts.close("pool_silent", pool), await alerts.close("pool_silent", pool)]).toEqual([true, false]);
    expect(await alerts.list({ pool })).toEqual([]);
    expect(await alerts.list({ pool, closed: true })).toMatchObject([{ closedAt: expect.any(String) as string }]);
    expect(await told()).toEqual([
      { state: "opened", subject: pool },
      { state: "closed", subject: pool },
    ]);
    const details = { alert: "pool_silent", subject: pool };
    expect(await journaled()).toEqual([
      { kind: "alert.opened", reason: `pool_silent of ${pool}: no decision for an hour`, details },
      { kind: "alert.closed", reason: `pool_silent of ${pool}: no decision for two hours`, details },
    ]);
    expect(await alerts.open(silent(pool), pool)).toBe(true);
    expect(await told()).toHaveLength(3);
  });

  it("no_able_worker opens with the first task that nobody can do, and closes when somebody can, or none waits", async () => {
    const memory: AlertMemory = { open: null, over: new Set() };
    /** A full pass of the watch, whose new workers could do t2v. */
    const pass = async () => {
      const { answer } = await api.queue.one<{ answer: { undone: { task_type: string; tasks: number }[] } }>(
        "select pool_observe($1, null, true, 30, p_task_types => '{t2v}') as answer",
        [pool],
      );
      const undone = answer.undone.map(({ task_type: taskType, tasks }) => ({ taskType, tasks }));
      const conditions = decide(SETTINGS, observe([], { undone })).conditions.map((each) => ({
        subject: pool,
        ...each,
      }));
      const open = await alerts.list({ pool });
      await settleAlerts({ alerts, logger: pino({ level: "silent" }) }, pool, memory, conditions, open);
      return (await alerts.list({ pool })).map(({ kind, message }) => `${kind}: ${message}`);
    };
    await api.queue.addTask(pool, { task_type: "t2v" });
    expect(await pass()).toEqual([]);
    const waiting = await api.queue.addTask(pool, { task_type: "comfy" });
    const opens = [expect.stringMatching(/^no_able_worker: tasks of type comfy wait, and neither a living worker/)];
    expect(await pass()).toEqual(opens);
    const able = await api.queue.newWorker(pool, { origin: "external", task_types: ["comfy"] });
    await api.queue.rows("update workers set last_heartbeat = now() where id = $1", [able]);
    expect(await pass()).toEqual(opens);
    expect(await pass()).toEqual([]);
    await api.queue.rows("update workers set last_heartbeat = now() - interval '1 hour' where id = $1", [able]);
    expect(await pass()).toEqual(opens);
    await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [waiting]);
    await pass();
    expect(await pass()).toEqual([]);
    expect((await told()).map(({ state }) => state)).toEqual(["opened", "closed", "opened", "closed"]);
  });

  it("opens once for many callers at the same time", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => alerts.open(silent(pool), pool)));
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await told()).toHaveLength(1);
  });

  it("that concerns every pool is shown, journaled and notified for each of them", async () => {
    await alerts.open({ kind: "no_funds", subject: ACCOUNT, message: "HTTP 402" }, null);
    await alerts.open(silent(other), other);
    expect(await opened()).toEqual([ACCOUNT]);
    expect(await opened(other)).toEqual([ACCOUNT, other].toSorted());
    expect(await alerts.list({})).toHaveLength(2);
    expect(await told()).toEqual([{ state: "opened", subject: ACCOUNT }]);
    expect([await journaled(), (await journaled(other))[0]].flat()).toMatchObject([
      { kind: "alert.opened", reason: "no_funds of account: HTTP 402" },
      { kind: "alert.opened", reason: "no_funds of account: HTTP 402" },
    ]);
  });

  it("of conditions that are found anew opens, stays or closes with them, and touches no other pool or kind", async () => {
    const kinds = ["pool_silent", "task_stuck"];
    await alerts.open(silent(other), other);
    await alerts.open({ kind: "queue_waiting", subject: pool, message: "another kind" }, pool);
    await alerts.settle(pool, kinds, [silent("a"), silent("b")]);
    expect(await opened()).toEqual(["a", "b", pool].toSorted());
    await alerts.settle(pool, kinds, [silent("b", "longer now"), { kind: "task_stuck", subject: "c", message: "c" }]);
    expect(await opened()).toEqual(["b", "c", pool].toSorted());
    expect(await alerts.list({ pool })).toContainEqual(
      expect.objectContaining({ subject: "b", message: "longer now" }),
    );
    await alerts.settle(pool, kinds, []);
    expect([await opened(), await opened(other)]).toEqual([[pool], [other]]);
    const changes = (await told()).map(({ state, subject }) => `${subject} ${state}`);
    expect(changes.slice(1)).toEqual(["a opened", "b opened", "c opened", "a closed", "b closed", "c closed"]);
  });

  it("of a deletion or a record that fails lasts until the pod is gone", async () => {
    const worker = await api.queue.newWorker(pool, { status: "terminating", pod_id: "p1" });
    for (const _attempt of [5, 6]) {
      await api.queue.call("worker_delete_failing", { p_worker_id: worker, p_message: "HTTP 500" });
    }
    expect(await alerts.list({ pool })).toMatchObject([{ kind: "delete_failing", subject: worker, pool }]);
    expect(Number(await api.queue.call("worker_deleted", { p_worker_id: worker }))).toBe(0);
    await api.queue.rows("update workers set deleted_at = now() - interval '1 minute' where id = $1", [worker]);
    expect(Number(await api.queue.call("worker_deleted", { p_worker_id: worker }))).toBeGreaterThanOrEqual(60);
    await alerts.open({ kind: "record_failing", subject: worker, message: "HTTP 400" }, pool);
    await api.queue.call("worker_gone", { p_worker_id: worker });
    expect(await alerts.list({ pool })).toEqual([]);
    await api.queue.call("worker_delete_failing", { p_worker_id: worker, p_message: "late" });
    expect(await alerts.list({ pool })).toEqual([]);
  });

  it("and the longest wait are read by a full pass", async () => {
    const [task] = await api.queue.addTasks(pool, 2);
    await alerts.open({ kind: "queue_waiting", subject: pool, message: "waits" }, pool);
    const look = (full: boolean) =>
      api.queue.call<{ waiting_since_ms: number | null; alerts: object[] | null }>("pool_observe", {
        p_pool: pool,
        p_known_fleet: null,
        p_full: full,
        p_poll_sec: 30,
      });
    const { since } = await api.queue.one<{ since: number }>(
      "select extract(epoch from updated_at) * 1000 as since from tasks where id = $1",
      [task],
    );
    const full = await look(true);
    expect(full.alerts).toEqual([{ kind: "queue_waiting", subject: pool, message: "waits" }]);
    expect(Math.abs((full.waiting_since_ms ?? 0) - since)).toBeLessThan(1_000);
    expect(await look(false)).toMatchObject({ alerts: null, waiting_since_ms: null });
  });

  it("of an unknown kind is refused", async () => {
    await expect(alerts.open({ kind: "pool_sad", subject: pool, message: "" }, pool)).rejects.toThrow("alert_kinds");
  });
});
