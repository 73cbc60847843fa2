import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sha256 } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

let api: QueueApi;
let pool: string;
beforeAll(async () => {
  api = await openQueueApi();
});
beforeEach(async () => {
  await api.queue.rows("update workers set gone_at = now() where gone_at is null");
  await api.queue.rows("truncate workers cascade");
  pool = await api.queue.newPool();
});
afterAll(() => api?.close());

function newId(name = pool): string {
  return `${name}-${randomBytes(4).toString("hex")}`;
}
function reserve(id: string, overrides: Readonly<Record<string, unknown>> = {}) {
  return api.queue.call<{ outcome: string; reason: string | null }>("reserve_pod_job", {
    p_worker_id: id,
    p_pool: pool,
    p_purpose: "volume-prepare",
    p_details: { settings: { networkVolumeId: "vol1" }, variables: {} },
    p_timeout_sec: 600,
    p_instance_type: "NVIDIA L40S",
    ...overrides,
  });
}
/** The job's pod, with the credential that it gets. */
async function podOf(id: string) {
  const token = randomBytes(32).toString("base64url");
  await api.queue.call("worker_begin_post", { p_worker_id: id, p_token_hash: sha256(token), p_lifetime_sec: 600 });
  return api.asWorker(token);
}
async function stateOf(id: string) {
  return (
    await api.queue.rows(
      "select w.status, j.state, j.report from workers w join pod_jobs j on j.worker_id = w.id where w.id = $1",
      [id],
    )
  )[0];
}
interface Observed {
  readonly fleet: readonly unknown[];
  readonly fleet_hash: string;
  readonly spend: { readonly hourly_usd: number; readonly today_usd: number };
}
function observe(): Promise<Observed> {
  return api.queue.call("pool_observe", { p_pool: pool, p_known_fleet: null, p_full: true, p_poll_sec: 30 });
}

describe("a pod for one job", () => {
  it("is booked once, also for a pool that was never started, and only one at a time prepares a volume", async () => {
    const id = newId();
    expect(await reserve(id)).toMatchObject({ outcome: "reserved" });
    expect(await reserve(id)).toMatchObject({ outcome: "already_reserved" });
    expect(await reserve(newId())).toMatchObject({
      outcome: "volume_busy",
      reason: `pod ${id} prepares volume vol1 now`,
    });
    const fresh = `new${randomBytes(3).toString("hex")}`;
    const other = { p_pool: fresh, p_purpose: "spawn-test", p_details: { settings: {}, variables: {} } };
    expect(await reserve(newId(fresh), other)).toMatchObject({ outcome: "reserved" });
    await expect(reserve("another-0a1b2c3d")).rejects.toThrow("p_worker_id");
    await api.queue.call("worker_gone", { p_worker_id: id });
    expect(await reserve(newId())).toMatchObject({ outcome: "reserved" });
  });

  it("counts in the ceilings of the account, and they hold for it (invariant 15)", async () => {
    const id = newId();
    await reserve(id);
    await api.queue.rows(
      "update workers set cost_per_hr_usd = 2, pod_created_at = now() - interval '1 hour', pod_id = 'p', post_state = 'posted' where id = $1",
      [id],
    );
    // Its hour may have begun yesterday.
    const { hours } = await api.queue.one<{ hours: number }>(
      "select least(1, extract(epoch from (now() at time zone 'utc')::time) / 3600)::float8 as hours",
    );
    expect((await observe()).spend).toMatchObject({ hourly_usd: 2, today_usd: expect.closeTo(2 * hours, 1) });
    const test = { p_purpose: "spawn-test", p_price_usd: 1.5 };
    expect(await reserve(newId(), { ...test, p_max_hourly_usd: 3 })).toMatchObject({
      outcome: "over_budget",
      reason: expect.stringContaining("$2.00 an hour of at most $3"),
    });
    expect(await reserve(newId(), { ...test, p_daily_usd: 2 * hours })).toMatchObject({ outcome: "over_budget" });
    expect(await reserve(newId(), { ...test, p_max_hourly_usd: 4 })).toMatchObject({ outcome: "reserved" });
    await api.queue.call("worker_gone", { p_worker_id: id });
    expect((await observe()).spend.today_usd).toBeCloseTo(2 * hours, 1);
    expect(
      await api.queue.call("reserve_workers", {
        p_pool: pool,
        p_decision_id: "d",
        p_count: 1,
        p_max: 5,
        p_intent_version: 0,
        p_instance_type: "x",
        p_daily_usd: 2 * hours,
      }),
    ).toMatchObject({ outcome: "over_budget" });
  });

  it("is no part of the fleet, and gets no task by any claim", async () => {
    await api.queue.addTasks(pool, 1);
    const before = (await observe()).fleet_hash;
    const id = newId();
    await reserve(id);
    const pod = await podOf(id);
    expect(await pod.rpc("pod_job_report", { p_worker_id: id, p_report: { step: 1 } })).toMatchObject({
      data: { state: "running" },
    });
    expect(await stateOf(id)).toMatchObject({ status: "active", state: "running", report: { step: 1 } });
    expect(await observe()).toMatchObject({ fleet: [], fleet_hash: before });
    expect(await pod.rpc("claim_task", { p_worker_id: id })).toMatchObject({ data: { task: null } });
    await expect(
      api.queue.rows("select lease_directly(t, $1) from tasks t where pool = $2", [id, pool]),
    ).rejects.toThrow(`worker ${id} has a job of its own`);
  });

  it("reports with its own credential only, and its last word stays", async () => {
    const id = newId();
    await reserve(id);
    const pod = await podOf(id);
    const manifest = { commit: "c", models: ["m"] };
    const stranger = api.asWorker("another token");
    expect(await stranger.rpc("pod_job_report", { p_worker_id: id, p_report: {} })).toMatchObject({ status: 401 });
    for (const wrong of [
      { p_report: [] },
      { p_report: {}, p_state: "over" },
      { p_report: { text: "x".repeat(100_001) } },
    ]) {
      expect(await pod.rpc("pod_job_report", { p_worker_id: id, ...wrong })).toMatchObject({ status: 400 });
    }
    await pod.rpc("pod_job_report", { p_worker_id: id, p_report: { manifest }, p_state: "done" });
    expect(await pod.rpc("pod_job_report", { p_worker_id: id, p_report: {} })).toMatchObject({
      data: { state: "done" },
    });
    expect(await api.queue.rows("select manifest, worker_id from prepared_volumes where volume_id = 'vol1'")).toEqual([
      { manifest, worker_id: id },
    ]);
    await api.queue.call("worker_gone", { p_worker_id: id });
    expect(await stateOf(id)).toMatchObject({ status: "terminated", state: "done" });
  });

  it("has failed when its pod is gone without a word", async () => {
    const id = newId();
    await reserve(id);
    await api.queue.rows("update workers set status_reason = 'its pod is gone' where id = $1", [id]);
    await expect(api.queue.rows("delete from workers where id = $1", [id])).rejects.toThrow("its pod may still run");
    await api.queue.call("worker_gone", { p_worker_id: id });
    expect(await stateOf(id)).toMatchObject({ state: "failed", report: { error: "its pod is gone" } });
    await api.queue.rows("delete from workers where id = $1", [id]);
  });
});
