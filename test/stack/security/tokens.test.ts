import { randomBytes } from "node:crypto";
import type { SupabaseClient } from "@supabase/supabase-js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Claim, leaseArgs, sha256 } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

describe("invariant 10: a worker's credential over HTTP", () => {
  let api: QueueApi;
  let pool: string;
  let worker: string;
  let token: string;
  beforeAll(async () => {
    api = await openQueueApi();
  });
  beforeEach(async () => {
    pool = await api.queue.newPool();
    worker = await api.queue.newWorker(pool);
    token = randomBytes(32).toString("base64url");
    await api.giveToken(worker, token);
  });
  afterAll(() => api?.close());

  const refusal = (id: string) => ({
    status: 401,
    data: null,
    error: {
      code: "PT401",
      message: `credential refused for worker ${id}`,
      hint: "The token is missing, belongs to another worker, has expired, or its worker has ended.",
    },
  });
  const noFile = { p_storage_path: null, p_output_location: null, p_result: {} };

  /** Calls every function that a worker may call, as this client, for this worker and this lease. */
  const callAll = (client: SupabaseClient, id: string, lease: { p_task_id: string; p_lease_token: string }) =>
    [
      ["claim_task", { p_worker_id: id }],
      ["worker_can_do", { p_worker_id: id, p_task_types: ["t2v"] }],
      ["worker_heartbeat", { p_worker_id: id }],
      ["report_progress", { ...lease, p_progress: 0.9, p_message: "mine" }],
      ["authorize_upload", lease],
      ["finish_task", { ...lease, ...noFile }],
      ["keep_request", { ...lease, p_service: "replicate", p_request_id: "mine" }],
      ["kept_request", { ...lease, p_service: "replicate" }],
      ["fail_task", { ...lease, p_error: "no", p_permanent: true }],
      ["release_task", { ...lease, p_reason: "no" }],
    ].map(([name, args]) => ({ name, call: async () => await client.rpc(name as string, args as object) }));

  it("is enough, with the public key, for a GPU worker's whole life", async () => {
    await api.queue.addTasks(pool, 3, { task_type: "without_file" });
    const pod = api.asWorker(token);
    expect(await pod.rpc("worker_heartbeat", { p_worker_id: worker })).toMatchObject({
      data: { worker_status: "active" },
    });
    const claim = async () => {
      const { data, error } = await pod.rpc("claim_task", { p_worker_id: worker });
      expect(error).toBeNull();
      return leaseArgs((data as Claim).task!);
    };
    const first = await claim();
    const progress = { ...first, p_progress: 0.5, p_message: "half" };
    expect(await pod.rpc("report_progress", progress)).toMatchObject({ data: { held: true } });
    expect(await pod.rpc("authorize_upload", first)).toMatchObject({ data: { allowed: true } });
    expect(await pod.rpc("finish_task", { ...first, ...noFile })).toMatchObject({ data: { outcome: "completed" } });
    const failed = { ...(await claim()), p_error: "bad", p_permanent: true };
    expect(await pod.rpc("fail_task", failed)).toMatchObject({ data: { outcome: "failed" } });
    const released = { ...(await claim()), p_reason: "leaving" };
    expect(await pod.rpc("release_task", released)).toMatchObject({ data: { outcome: "released" } });
  });

  it("is required: without it, with another worker's token and with an unknown one every call is refused", async () => {
    const task = await api.queue.addTask(pool);
    const lease = leaseArgs(await api.queue.lease(worker));
    const other = await api.queue.newWorker(pool);
    const othersToken = randomBytes(32).toString("base64url");
    await api.giveToken(other, othersToken);
    const before = await api.queue.rows(
      "select * from tasks t join task_attempts a on a.task_id = t.id where t.id = $1",
      [task],
    );
    for (const client of [
      api.client(api.keys.anonKey),
      api.asWorker(othersToken),
      api.asWorker("never given"),
      api.asWorker(""),
      // The stored hash is no credential.
      api.asWorker(sha256(token)),
    ]) {
      for (const { name, call } of callAll(client, worker, lease)) {
        expect({ name, ...(await call()) }).toMatchObject({ name, ...refusal(worker) });
      }
    }
    const after = await api.queue.rows(
      "select * from tasks t join task_attempts a on a.task_id = t.id where t.id = $1",
      [task],
    );
    expect(after).toEqual(before);
  });

  it("does not let a worker claim or send heartbeats for another, with any id", async () => {
    await api.queue.addTask(pool);
    const other = await api.queue.newWorker(pool);
    const pod = api.asWorker(token);
    for (const id of [other, `${pool}-unknown`, ""]) {
      expect(await pod.rpc("claim_task", { p_worker_id: id })).toMatchObject(refusal(id));
      expect(await pod.rpc("worker_heartbeat", { p_worker_id: id })).toMatchObject(refusal(id));
    }
    expect(await pod.rpc("claim_task", { p_worker_id: null })).toMatchObject(refusal("(none)"));
    expect(await api.queue.rows("select 1 from task_attempts where worker_id = $1", [other])).toEqual([]);
  });

  it.each<[string, string]>([
    ["has expired", "update workers set token_expires_at = now() - interval '1 second' where id = $1"],
    ["has no end", "update workers set token_expires_at = null where id = $1"],
    ["is of a worker in error", "update workers set status = 'error' where id = $1"],
    ["is of a worker that is terminated", "update workers set status = 'terminated' where id = $1"],
    ["is of a worker whose pod is gone", "update workers set gone_at = now() where id = $1"],
    ["is of a drained worker that is gone", "select drain_worker($1, 'test', false), worker_gone($1)"],
    ["is of a worker that was failed", "select fail_worker($1, 'worker_died', 'test')"],
  ])("is refused when it %s", async (_, end) => {
    await api.queue.addTask(pool);
    const lease = leaseArgs(await api.queue.lease(worker));
    await api.queue.rows(end, [worker]);
    for (const { name, call } of callAll(api.asWorker(token), worker, lease)) {
      expect({ name, ...(await call()) }).toMatchObject({ name, ...refusal(worker) });
    }
  });

  it("is still valid while the worker is drained, so that it can finish its task", async () => {
    await api.queue.addTask(pool, { task_type: "without_file" });
    const lease = leaseArgs(await api.queue.lease(worker));
    await api.queue.call("drain_worker", { p_worker_id: worker, p_reason: "test", p_only_idle: false });
    const pod = api.asWorker(token);
    expect(await pod.rpc("finish_task", { ...lease, ...noFile })).toMatchObject({ data: { outcome: "completed" } });
    expect(await pod.rpc("claim_task", { p_worker_id: worker })).toMatchObject({
      data: { worker_status: "terminating", task: null },
    });
  });

  it("is in no answer that the worker gets", async () => {
    await api.queue.addTask(pool);
    const pod = api.asWorker(token);
    const { data } = await pod.rpc("claim_task", { p_worker_id: worker });
    const refused = await pod.rpc("claim_task", { p_worker_id: "another" });
    for (const answer of [data, refused]) {
      expect(JSON.stringify(answer)).not.toContain(token);
      expect(JSON.stringify(answer)).not.toContain(sha256(token));
    }
  });

  it("is not required of the service role, which a worker of the old kind uses", async () => {
    const task = await api.queue.addTask(pool);
    const { data } = await api.client(api.keys.serviceRoleKey).rpc("claim_task", { p_worker_id: worker });
    expect(data).toMatchObject({ task: { task_id: task } });
  });
});
