import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue, sha256 } from "../../kit/queue.ts";

interface Row {
  readonly status: string;
  readonly post_state: string | null;
  readonly pod_id: string | null;
  readonly token_hash: string | null;
  readonly boot_stage: string;
  readonly boot_stage_at: Date;
}

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

function row(id: string) {
  return queue.one<Row>("select * from workers where id = $1", [id]);
}
function spawning() {
  return queue.newWorker(pool, { status: "spawning" });
}

describe("invariant 1: one billed pod per worker", () => {
  const beginPost = (worker: string, token: string = randomUUID()) =>
    queue.call<string>("worker_begin_post", {
      p_worker_id: worker,
      p_token_hash: sha256(token),
      p_lifetime_sec: 3600,
    });
  const recordPod = (worker: string, podId: string, adopted = false) =>
    queue.call("worker_record_pod", {
      p_worker_id: worker,
      p_pod_id: podId,
      p_cost_per_hr_usd: 0.34,
      p_created_at: null,
      p_adopted: adopted,
    });
  const rearm = (worker: string) => queue.call("worker_rearm_post", { p_worker_id: worker, p_reason: "no capacity" });
  const burn = (worker: string) => queue.call("worker_burn_name", { p_worker_id: worker, p_reason: "never seen" });

  it("one of twenty callers that want to post a name at once is elected, and its credential is the valid one", async () => {
    for (let round = 0; round < 5; round += 1) {
      const worker = await spawning();
      const tokens = Array.from({ length: 20 }, () => randomUUID());
      const elected = await Promise.all(tokens.map((token) => beginPost(worker, token)));
      expect(elected.filter((answer) => answer === "elected")).toHaveLength(1);
      expect(await row(worker)).toMatchObject({
        post_state: "posting",
        boot_stage: "posting",
        token_hash: sha256(tokens[elected.indexOf("elected")]!),
      });
    }
  });

  it.each(["active", "terminating", "terminated", "error"])(
    "no name is posted for a worker that is %s",
    async (status) => {
      const worker = await queue.newWorker(pool, { status });
      expect(await beginPost(worker)).toBe("not_elected");
      expect(await row(worker)).toMatchObject({ post_state: null, token_hash: null });
    },
  );

  it("invariant 17: a pod begins between the request for it and now, whatever the provider's clock says", async () => {
    for (const said of ["2021-01-01T00:00:00Z", "2099-01-01T00:00:00Z", null]) {
      const worker = await spawning();
      await beginPost(worker);
      const pod = { p_worker_id: worker, p_pod_id: randomUUID(), p_adopted: false };
      await queue.call("worker_record_pod", { ...pod, p_cost_per_hr_usd: null, p_created_at: said });
      const plausible = "select pod_created_at between posted_at and now() as plausible from workers where id = $1";
      expect(await queue.one(plausible, [worker])).toEqual({ plausible: true });
      const journaled = "select reason from pool_events where worker_id = $1 and kind = 'pod.created'";
      expect(await queue.one(journaled, [worker])).toEqual({ reason: `pod ${pod.p_pod_id} of unknown price` });
    }
  });

  it("a definite refusal re-arms the name: the credential becomes invalid, and one more may post", async () => {
    const worker = await spawning();
    await beginPost(worker);
    await rearm(worker);
    expect(await row(worker)).toMatchObject({ post_state: null, token_hash: null });
    expect(await beginPost(worker)).toBe("elected");
    expect(await queue.journalOf(worker)).toEqual(["pod.refused"]);
  });

  it("a burned name is never posted again or re-armed, and its credential is invalid", async () => {
    const worker = await spawning();
    await beginPost(worker);
    await burn(worker);
    await rearm(worker);
    expect(await beginPost(worker)).toBe("not_elected");
    expect(await row(worker)).toMatchObject({ post_state: "burned", token_hash: null });
    expect(await queue.journalOf(worker)).toEqual(["pod.name_burned"]);
  });

  it("a recorded pod is journaled once, however often it is recorded, and is neither re-armed nor burned", async () => {
    const worker = await spawning();
    await beginPost(worker);
    await recordPod(worker, "pod-1");
    await recordPod(worker, "pod-1");
    await rearm(worker);
    await burn(worker);
    expect(await beginPost(worker)).toBe("not_elected");
    expect(await row(worker)).toMatchObject({ post_state: "posted", pod_id: "pod-1", boot_stage: "created" });
    expect(await queue.journalOf(worker)).toEqual(["pod.created"]);
    const adopted = await spawning();
    await beginPost(adopted);
    await recordPod(adopted, "pod-2", true);
    expect(await queue.journalOf(adopted)).toEqual(["pod.adopted"]);
  });

  it("a pod that is recorded after its first heartbeat does not go back to an earlier boot stage", async () => {
    const worker = await spawning();
    await beginPost(worker);
    await queue.call("worker_heartbeat", { p_worker_id: worker });
    await recordPod(worker, "pod-3");
    expect(await row(worker)).toMatchObject({ status: "active", boot_stage: "ready", pod_id: "pod-3" });
  });

  it("invariant 8: a boot stage restarts the clock of the boot if it is new, and only while spawning", async () => {
    const worker = await spawning();
    const stage = (name: string) => queue.call("worker_boot_stage", { p_worker_id: worker, p_stage: name });
    await stage("pulling");
    const first = await row(worker);
    expect(first.boot_stage).toBe("pulling");
    await stage("pulling");
    expect((await row(worker)).boot_stage_at).toEqual(first.boot_stage_at);
    await stage("running");
    expect((await row(worker)).boot_stage_at.getTime()).toBeGreaterThan(first.boot_stage_at.getTime());
    await queue.call("worker_heartbeat", { p_worker_id: worker });
    await stage("running again");
    expect(await row(worker)).toMatchObject({ boot_stage: "ready" });
  });

  it("a boot never goes back to an earlier stage, so a container that restarts again and again gets no second deadline", async () => {
    const worker = await spawning();
    await beginPost(worker);
    const report = (stage: string, more: object = {}) =>
      queue.call("worker_report_boot", { p_worker_id: worker, p_stage: stage, ...more });
    expect(await report("installing")).toEqual({ worker_status: "spawning", boot_stage: "installing" });
    await recordPod(worker, "pod-4");
    expect(await row(worker)).toMatchObject({ boot_stage: "installing", pod_id: "pod-4" });
    await queue.call("worker_boot_stage", { p_worker_id: worker, p_stage: "running" });
    await report("loading");
    const { boot_stage_at: began } = await row(worker);
    expect(await report("installing")).toEqual({ worker_status: "spawning", boot_stage: "loading" });
    expect((await row(worker)).boot_stage_at).toEqual(began);
    await expect(report("ready")).rejects.toThrow("p_stage");
    await report("loading", { p_error: "no worker.py" });
    await report("loading", { p_error: "a later word" });
    expect(await row(worker)).toMatchObject({ broken_reason: "its boot failed: no worker.py" });
  });
});

describe("an orphan that is given to the burial", () => {
  const bury = (worker: string, pod: string | null, max = 100) =>
    queue.call<string>("janitor_bury", {
      p_worker_id: worker,
      p_pool: pool,
      p_subject: pod ?? `workflow/${worker}`,
      p_pod_id: pod,
      p_cost_per_hr_usd: pod === null ? null : 3600,
      p_created_at: null,
      p_reason: "the test saw it",
      p_max: max,
    });
  const see = (...subjects: string[]) => queue.rows("select janitor_sight($1, '{}')", [subjects]);
  const costOf = async (worker: string) => {
    await queue.call("worker_deleted", { p_worker_id: worker });
    await queue.call("worker_gone", { p_worker_id: worker });
    return await queue.one<{ cost: number | null; gone: boolean }>(
      "select cost_usd::float8 as cost, gone_at is not null as gone from workers where id = $1",
      [worker],
    );
  };
  const endedWorker = (columns: Readonly<Record<string, unknown>>) =>
    queue.newWorker(pool, { status: "terminated", gone_at: new Date(), cost_usd: 7, post_state: "posted", ...columns });

  it("has an open row until its pod is seen gone, and the cost since it was first seen is booked", async () => {
    const worker = await endedWorker({ pod_id: null, status: "error", post_state: "burned", cost_usd: 0 });
    const pod = randomUUID();
    await see(pod);
    await queue.rows("update janitor_sightings set first_seen_at = now() - interval '10 seconds' where subject = $1", [
      pod,
    ]);
    expect(await bury(worker, pod)).toBe("ordered");
    expect(await bury(worker, pod)).toBe("living");
    expect(await row(worker)).toMatchObject({ status: "error", post_state: "burned", pod_id: pod });
    const [spend] = await queue.rows<{ usd: number }>("select hourly_usd::float8 as usd from account_spend($1)", [
      pool,
    ]);
    expect(spend!.usd).toBeGreaterThanOrEqual(3600);
    const { cost, gone } = await costOf(worker);
    expect(gone).toBe(true);
    expect(cost).toBeGreaterThanOrEqual(10);
    expect(await queue.journalOf(worker)).toEqual(["worker.orphan", "worker.gone"]);
  });

  it("keeps the cost of an earlier pod, and counts a pod that came back once", async () => {
    const began = {
      pod_created_at: new Date(Date.now() - 20_000),
      cost_per_hr_usd: 3600,
      posted_at: new Date(Date.now() - 30_000),
    };
    const [twin, again] = [
      await endedWorker({ ...began, pod_id: "first" }),
      await endedWorker({ ...began, pod_id: "same" }),
    ];
    await see("second", "same");
    expect([await bury(twin, "second"), await bury(again, "same")]).toEqual(["ordered", "ordered"]);
    expect((await costOf(twin)).cost).toBeGreaterThanOrEqual(7);
    const { cost } = await costOf(again);
    expect(cost).toBeGreaterThanOrEqual(20);
    expect(cost).toBeLessThan(27);
  });

  it("gets a row where it has none, with or without a pod", async () => {
    for (const [pod, postState] of [
      [randomUUID(), "posted"],
      [null, "burned"],
    ] as const) {
      const worker = `${pool}-${randomUUID().slice(0, 8)}`;
      await see(pod ?? `workflow/${worker}`);
      expect(await bury(worker, pod)).toBe("ordered");
      expect(await row(worker)).toMatchObject({
        status: "error",
        pod_id: pod,
        post_state: postState,
        token_hash: null,
      });
      const [counts] = await queue.rows(
        "select count(*)::int as failed from workers where id = $1 and failed_at is not null",
        [worker],
      );
      expect(counts).toEqual({ failed: 0 });
    }
  });

  it("waits where the limit is used up, over all callers at once", async () => {
    await queue.rows("update janitor_sightings set acted_at = null");
    const workers = await Promise.all(Array.from({ length: 6 }, () => endedWorker({ pod_id: null })));
    await see(...workers.map((worker) => `pod of ${worker}`));
    const outcomes = await Promise.all(workers.map((worker) => bury(worker, `pod of ${worker}`, 2)));
    expect(outcomes.filter((outcome) => outcome === "ordered")).toHaveLength(2);
    expect(outcomes.filter((outcome) => outcome === "cap_reached")).toHaveLength(4);
  });

  it("is never an external worker", async () => {
    const worker = await endedWorker({ origin: "external" });
    expect(await bury(worker, randomUUID())).toBe("living");
    expect(await row(worker)).toMatchObject({ status: "terminated" });
  });
});
