import { randomUUID } from "node:crypto";
import type { SupabaseClient } from "@supabase/supabase-js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi } from "../../kit/api.ts";
import { leaseArgs, type Queue } from "../../kit/queue.ts";

const HOUR_SEC = 3600;

interface Lease {
  readonly id: string;
  readonly attempt: number;
  readonly lease_token: string;
}

let api: PeopleApi;
let queue: Queue;
let service: SupabaseClient;
let pool: string;
beforeAll(async () => {
  api = await openPeopleApi();
  ({ queue } = api);
  service = api.client(api.keys.serviceRoleKey);
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => api?.close());

async function rpc<T>(name: string, args: object): Promise<T> {
  const { data, error } = await service.rpc(name, args);
  expect(error).toBeNull();
  return data as T;
}
async function patch(table: string, id: string, values: object): Promise<void> {
  const { error } = await service.from(table).update(values).eq("id", id);
  expect(error).toBeNull();
}
async function edge(name: string, body: object) {
  return await api.call(name, api.keys.serviceRoleKey, body);
}
async function claimByFunction(worker: string): Promise<string | null> {
  return (await rpc<Lease[]>("func_claim_available_task", { worker_id_param: worker }))[0]?.id ?? null;
}
async function seen(worker: string) {
  const { fleet } = await queue.call<{ fleet: { id: string; task: { stuck_timeout_sec: number | null } | null }[] }>(
    "pool_observe",
    { p_pool: pool, p_known_fleet: null, p_full: true, p_poll_sec: 30 },
  );
  return fleet.find(({ id }) => id === worker);
}

/** The doors by which a worker of the old protocol gets a task. */
const CLAIMS: [string, (worker: string, task: string) => Promise<unknown>][] = [
  ["func_claim_available_task", claimByFunction],
  ["func_claim_task", (worker) => rpc("func_claim_task", { p_table_name: "tasks", p_worker_id: worker })],
  ["claim-next-task", (worker) => edge("claim-next-task", { worker_id: worker, run_type: "gpu" })],
  ["a direct write", (worker, id) => patch("tasks", id, { status: "In Progress", worker_id: worker })],
];

describe.each(CLAIMS)("a worker of the old protocol that claims by %s", (_, claim) => {
  it("has its task type's stuck limit, an hour by default, whatever it logs and however often it says In Progress", async () => {
    const worker = await queue.newWorker(pool);
    const type = `type-${randomUUID()}`;
    const id = await queue.addTask(pool, { task_type: type });
    await claim(worker, id);
    expect(await seen(worker)).toMatchObject({ task: { id, stuck_timeout_sec: HOUR_SEC } });
    const line = { level: "INFO", message: "step 3 of 20", task_id: id, timestamp: new Date().toISOString() };
    await rpc("func_worker_heartbeat_with_logs", { worker_id_param: worker, logs_param: [line] });
    await rpc("func_worker_heartbeat_with_logs", {
      worker_id_param: worker,
      logs_param: [{ ...line, task_id: `unknown_task_${type}` }],
      current_task_id_param: id,
      status_param: "active",
    });
    expect(await seen(worker)).toMatchObject({ task: { progress_ms: null, stuck_timeout_sec: HOUR_SEC } });
    await edge("update-task-status", { task_id: id, status: "In Progress", reset_generation_started_at: true });
    await edge("update-task-status", { task_id: id, status: "In Progress", output_location: "model loaded" });
    await patch("tasks", id, { status: "In Progress", output_location: "rendering" });
    await rpc("func_update_task_status", { p_table_name: "tasks", p_task_id: id, p_status: "in_progress" });
    expect(await seen(worker)).toMatchObject({
      task: { progress_ms: expect.any(Number), stuck_timeout_sec: HOUR_SEC },
    });
    await queue.rows("insert into task_types (name, stuck_timeout_sec) values ($1, 7200)", [type]);
    expect(await seen(worker)).toMatchObject({ task: { stuck_timeout_sec: 7200 } });
  });
});

it("A worker that reports progress with its lease token has TASK_STUCK_TIMEOUT_SEC, by whichever door it claimed", async () => {
  const [fresh = "", old = ""] = await queue.newWorkers(pool, 2);
  await queue.addTasks(pool, 2);
  const lease = await queue.lease(fresh);
  expect(await seen(fresh)).toMatchObject({ task: { id: lease.task_id, stuck_timeout_sec: null } });
  const [claimed] = await rpc<Lease[]>("func_claim_available_task", { worker_id_param: old });
  const token = { task_id: claimed!.id, lease_token: claimed!.lease_token };
  await queue.call("report_progress", { ...leaseArgs(token), p_progress: 0.1 });
  expect(await seen(old)).toMatchObject({ task: { stuck_timeout_sec: null } });
  expect(await claimByFunction(old)).toBe(claimed!.id);
  expect(await seen(old)).toMatchObject({ task: { stuck_timeout_sec: null } });
});

it("An external worker of the old protocol is judged by the same limit as one in a pod", async () => {
  await queue.rows("update pools set observing_since = now() - interval '3 hours' where name = $1", [pool]);
  const worker = await queue.newWorker(pool, { origin: "external", last_heartbeat: new Date() });
  const id = await queue.addTask(pool);
  await claimByFunction(worker);
  const expired = async (age: string) => {
    await queue.rows("update tasks set leased_at = now() - $2::interval where id = $1", [id, age]);
    const limits = { p_pool: pool, p_silent_sec: 300, p_stuck_sec: 300 };
    return (await queue.call<{ closed: number }>("expire_external_workers", limits)).closed;
  };
  expect(await expired("59 minutes")).toBe(0);
  expect(await expired("61 minutes")).toBe(1);
});

/** The doors by which a worker of the old protocol reports a failure that may pass. */
const FAILURES: [string, (task: string, error: string) => Promise<unknown>][] = [
  ["func_mark_task_failed", (id, error) => rpc("func_mark_task_failed", { p_task_id: id, p_error_message: error })],
  [
    "func_update_task_status",
    (id, error) =>
      rpc("func_update_task_status", {
        p_table_name: "tasks",
        p_task_id: id,
        p_status: "Failed",
        p_output_location: error,
      }),
  ],
  [
    "update-task-status",
    (id, error) => edge("update-task-status", { task_id: id, status: "Failed", output_location: error }),
  ],
  ["mark-task-failed", (id, error) => edge("mark-task-failed", { task_id: id, error_message: error })],
  ["error_details", (id, error) => patch("tasks", id, { status: "Queued", worker_id: null, error_details: error })],
  ["error_message", (id, error) => patch("tasks", id, { status: "Queued", worker_id: null, error_message: error })],
  [
    "an error that is written before the status",
    async (id, error) => {
      await patch("tasks", id, { error_message: error });
      await patch("tasks", id, { status: "Queued", worker_id: null });
    },
  ],
];

describe.each(CLAIMS)("after a claim by %s", (claimName, claim) => {
  it.each(FAILURES)("each failure counts once, also with the same words as the one before: %s", async (_, fail) => {
    const id = await queue.addTask(pool);
    for (const attempts of [1, 2, 3]) {
      await claim(await queue.newWorker(pool), id);
      expect(await queue.task(id)).toMatchObject({ status: "In Progress", attempts, error_message: null });
      await fail(id, "CUDA error: device-side assert");
      expect(await queue.task(id)).toMatchObject({
        status: attempts < 3 ? "Queued" : "Failed",
        attempts,
        error_message: "CUDA error: device-side assert",
      });
    }
    const causes = await queue.rows("select cause, error from task_attempts where task_id = $1", [id]);
    expect(causes).toEqual(Array(3).fill({ cause: "task_error", error: "CUDA error: device-side assert" }));
    expect(claimName).toBeTruthy();
  });
});

it("A task that is given back without an error counts no failure, although it failed before", async () => {
  const id = await queue.addTask(pool);
  await claimByFunction(await queue.newWorker(pool));
  await patch("tasks", id, { status: "Queued", worker_id: null, error_details: "first" });
  await claimByFunction(await queue.newWorker(pool));
  await patch("tasks", id, { status: "Queued", worker_id: null });
  expect(await queue.task(id)).toMatchObject({ status: "Queued", attempts: 1 });
});

it.each([["update-task-status"], ["mark-task-failed"]])(
  "A failure that is reported again because the answer was lost counts once, also when another worker holds the task: %s",
  async (name) => {
    const [first = "", second = ""] = await queue.newWorkers(pool, 2);
    await api.giveToken(first, `gpw_${first}`);
    const id = await queue.addTask(pool);
    const claim = await edge("claim-next-task", { worker_id: first });
    const report = { task_id: id, status: "Failed", output_location: "boom", error_message: "boom" };
    const withLease = { ...report, lease_token: claim.body.lease_token };
    expect(await edge(name, report)).toMatchObject({ status: 200, body: { status: "Queued" } });
    expect(await edge(name, report)).toMatchObject({ status: 200, body: { status: "Queued" } });
    expect(await queue.task(id)).toMatchObject({ status: "Queued", attempts: 1 });
    await edge("claim-next-task", { worker_id: second });
    expect(await edge(name, withLease)).toMatchObject({ status: 200, body: { status: "Queued" } });
    expect(await queue.task(id)).toMatchObject({ status: "In Progress", attempts: 2, worker_id: second });
    expect(await edge(name, report)).toMatchObject({ status: 200, body: { status: "Queued" } });
    expect(await queue.task(id)).toMatchObject({ attempts: 2 });
  },
);

/** The doors by which a worker, or the guardian beside it, reports that it is broken. */
const REPORTS: [string, (worker: string) => Promise<unknown>, string][] = [
  [
    "the fatal handler's direct write",
    (id) =>
      patch("workers", id, {
        status: "error",
        metadata: { error_reason: "CUDA error: device-side assert", self_terminated: true },
      }),
    "it reported itself error: CUDA error: device-side assert",
  ],
  [
    "metadata alone",
    (id) => patch("workers", id, { metadata: { self_terminated: true, error_reason: "no GPU" } }),
    "it reported itself self_terminated: no GPU",
  ],
  [
    "a direct write that says crashed",
    (id) => patch("workers", id, { status: "crashed" }),
    "it reported itself crashed",
  ],
  [
    "the guardian's last heartbeat",
    (id) => rpc("func_worker_heartbeat_with_logs", { worker_id_param: id, status_param: "crashed", logs_param: [] }),
    "it reported itself crashed",
  ],
  [
    "a heartbeat that says error",
    (id) =>
      rpc("func_worker_heartbeat_with_logs", {
        worker_id_param: id,
        status_param: "error",
        logs_param: [
          { level: "ERROR", message: "NVML: unknown error" },
          { level: "INFO", message: "bye" },
        ],
      }),
    "it reported itself error: NVML: unknown error",
  ],
];

describe.each(REPORTS)("a worker that reports itself broken by %s", (_, report, words) => {
  it("gets no task from that moment by any door, keeps its row's status, and is seen with its own words", async () => {
    const worker = await queue.newWorker(pool, { last_heartbeat: new Date() });
    const known = (await hash()).fleet_hash;
    await report(worker);
    await report(worker);
    const id = await queue.addTask(pool);
    for (const [name, claim] of CLAIMS.slice(0, 3)) {
      await claim(worker, id);
      expect([name, (await queue.task(id)).status]).toEqual([name, "Queued"]);
    }
    const { error } = await service.from("tasks").update({ status: "In Progress", worker_id: worker }).eq("id", id);
    expect(error?.message).toContain(`worker ${worker} is broken: it reported itself`);
    expect(await queue.claim(worker)).toEqual({ worker_status: "active", task: null });
    expect((await hash()).fleet_hash).not.toBe(known);
    expect(await seen(worker)).toMatchObject({ status: "active", broken_reason: words });
    await patch("tasks", id, { status: "Cancelled" });
  });

  it("does not get the task again that it held", async () => {
    const worker = await queue.newWorker(pool, { last_heartbeat: new Date() });
    const id = await queue.addTask(pool);
    const lease = await queue.lease(worker);
    await report(worker);
    expect(await queue.claim(worker)).toMatchObject({ task: null });
    expect(await queue.task(id)).toMatchObject({ status: "In Progress" });
    expect(await queue.fail(lease, "CUDA error")).toBe("requeued");
  });
});

it.each([
  [{ status: "terminating" }],
  [{ metadata: { ram_tier: 72 } }],
  [{ last_heartbeat: new Date(), status: "active" }],
])("A direct write of %o does not say that a worker is broken", async (values) => {
  const worker = await queue.newWorker(pool);
  await patch("workers", worker, values);
  await queue.addTask(pool);
  expect(await queue.claim(worker)).toMatchObject({ task: { attempt: 1 } });
});

function hash() {
  return queue.call<{ fleet_hash: string }>("pool_observe", {
    p_pool: pool,
    p_known_fleet: null,
    p_full: false,
    p_poll_sec: 30,
  });
}
