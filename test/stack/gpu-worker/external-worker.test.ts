import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { type ExternalStore, externalStore } from "../../../src/supabase/external-store.ts";
import { sha256 } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { standBefore } from "../../kit/stand-before.ts";
import { launchClient, runClient } from "../../kit/client.ts";
import { PATIENCE_MS } from "../../kit/patience.ts";

describe("an external worker in the database", () => {
  let api: QueueApi;
  let store: ExternalStore;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    store = externalStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
    pool = await api.queue.newPool();
  });
  afterAll(() => api?.close());

  const registration = (overrides: object = {}) => ({
    id: `box-${randomUUID().slice(0, 8)}`,
    pool,
    tokenHash: sha256(randomUUID()),
    lifetimeSec: 60,
    machine: "a laptop",
    ...overrides,
  });
  const register = async (token: string = randomUUID()) => {
    const { id } = registration();
    expect(await store.register(registration({ id, tokenHash: sha256(token) }))).toBe("registered");
    return { id, client: api.asWorker(token) };
  };
  const row = (id: string) =>
    api.queue.one<Record<string, unknown>>(
      "select status, origin, token_hash, gone_at is null as lives from workers where id = $1",
      [id],
    );

  it("becomes active by its first heartbeat, claims with its token, and ends with its registration", async () => {
    const { id, client } = await register();
    const args = { p_worker_id: id };
    const task = await api.queue.addTask(pool);
    expect((await client.rpc("claim_task", args)).data).toEqual({ worker_status: "spawning", task: null });
    expect((await client.rpc("worker_heartbeat", args)).data).toEqual({ worker_status: "active" });
    expect((await client.rpc("claim_task", args)).data.task).toMatchObject({ task_id: task });

    expect(await store.remove(id, "the test is over")).toBe("removed");
    expect(await row(id)).toEqual({ status: "terminated", origin: "external", token_hash: null, lives: false });
    expect(await api.queue.task(task)).toMatchObject({ status: "Queued", attempts: 0 });
    expect((await client.rpc("claim_task", args)).error?.code).toBe("PT401");
    expect(await store.remove(id, "again")).toBe("not_living");
    await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [task]);
  });

  it("is registered only with an unused id, an existing pool and a usable credential", async () => {
    const { id } = await register();
    expect(await store.register(registration({ id }))).toBe("taken");
    await expect(store.register(registration({ pool: "nowhere" }))).rejects.toThrow(
      /PT404.*pool nowhere does not exist/,
    );
    await expect(store.register(registration({ id: "a b" }))).rejects.toThrow(/PT400.*worker id a b cannot be used/);
    await expect(store.register(registration({ tokenHash: "plain" }))).rejects.toThrow(/PT400.*no usable credential/);
    await expect(store.register(registration({ lifetimeSec: 0 }))).rejects.toThrow(/PT400.*no usable credential/);
  });

  it("is registered, drained and removed by the service role alone", async () => {
    const { id, client: own } = await register();
    const calls = {
      register_external_worker: { p_worker_id: "x", p_pool: pool, p_token_hash: sha256("x"), p_lifetime_sec: 60 },
      drain_external_worker: { p_worker_id: id, p_reason: "x" },
      remove_external_worker: { p_worker_id: id, p_reason: "x" },
      expire_external_workers: { p_pool: pool, p_silent_sec: 1, p_stuck_sec: 1 },
    };
    for (const client of [api.client(api.keys.anonKey), own]) {
      for (const [name, args] of Object.entries(calls)) {
        expect({ name, code: (await client.rpc(name, args)).error?.code }).toEqual({ name, code: "42501" });
      }
    }
    expect(await row(id)).toMatchObject({ status: "spawning", lives: true });
  });

  it("gets no further task once drained; the same functions do nothing to a worker of a pod", async () => {
    const { id, client } = await register();
    await client.rpc("worker_heartbeat", { p_worker_id: id });
    expect(await store.drain(id, "enough")).toEqual({ outcome: "drained", busy: false });
    expect((await client.rpc("claim_task", { p_worker_id: id })).data.worker_status).toBe("terminating");
    const pod = await api.queue.newWorker(pool);
    expect(await store.drain(pod, "x")).toEqual({ outcome: "not_living", busy: false });
    expect(await store.remove(pod, "x")).toBe("not_living");
    expect(await row(pod)).toMatchObject({ status: "active", lives: true });
  });

  it("does not count towards MAX_ACTIVE_GPUS, which limits rented GPUs", async () => {
    const own = await api.queue.newPool();
    await api.queue.newWorkers(own, 2, { origin: "external" });
    const reserved = await api.queue.call<{ workers: string[] }>("reserve_workers", {
      p_pool: own,
      p_decision_id: randomUUID(),
      p_count: 3,
      p_max: 1,
      p_intent_version: 0,
      p_instance_type: "x",
    });
    expect(reserved.workers).toHaveLength(1);
  });

  it("loses its task and keeps its row when it is silent; its row ends when it is drained or its token is dead", async () => {
    const own = await api.queue.newPool();
    await api.queue.rows("update pools set observing_since = now() - interval '1 hour' where name = $1", [own]);
    const [asleep, drained, expired, awake] = await api.queue.newWorkers(own, 4, {
      origin: "external",
      created_at: new Date(Date.now() - 3_600_000),
      token_expires_at: new Date(Date.now() + 60_000),
    });
    const [task] = await api.queue.addTasks(own, 1);
    await api.queue.lease(asleep!);
    const beat = "update workers set last_heartbeat = now() - make_interval(secs => $2) where id = $1";
    for (const id of [asleep, drained, expired]) {
      await api.queue.rows(beat, [id, 400]);
    }
    await api.queue.rows(beat, [awake, 1]);
    await api.queue.rows("update workers set status = 'terminating' where id = $1", [drained]);
    await api.queue.rows("update workers set token_expires_at = now() - interval '1 second' where id = $1", [expired]);
    const expire = () =>
      api.queue.call("expire_external_workers", { p_pool: own, p_silent_sec: 300, p_stuck_sec: 300 });
    await api.queue.rows("update pools set mass_silence_since = now() where name = $1", [own]);
    expect(await expire()).toEqual({ closed: 0, removed: 0 });
    await api.queue.rows("update pools set mass_silence_since = null where name = $1", [own]);
    expect(await expire()).toEqual({ closed: 1, removed: 2 });
    expect(await api.queue.task(task!)).toMatchObject({ status: "Queued", attempts: 1 });
    expect(await Promise.all([asleep, drained, expired, awake].map(async (id) => (await row(id!))["lives"]))).toEqual([
      true,
      false,
      false,
      true,
    ]);

    const lease = await api.queue.lease(awake!);
    await api.queue.rows("update tasks set leased_at = now() - interval '6 minutes' where lease_token = $1", [
      lease.lease_token,
    ]);
    expect(await expire()).toEqual({ closed: 1, removed: 0 });
    expect(await api.queue.one("select cause from task_attempts where lease_token = $1", [lease.lease_token])).toEqual({
      cause: "stuck",
    });
  });
});

describe("gpu-pool worker", () => {
  let stack: TestStack;
  const running: ReturnType<typeof launchClient>[] = [];
  beforeAll(async () => {
    stack = await startTestStack({ env: { MAX_ACTIVE_GPUS: "0" } });
    await stack.serve();
    await stack.startPool();
    await vi.waitFor(
      async () => expect(await stack.rows("select from pools where name = $1", [stack.pool])).toHaveLength(1),
      { timeout: PATIENCE_MS },
    );
  });
  afterEach(() => {
    for (const child of running.splice(0)) {
      child.kill("SIGTERM");
    }
  });
  afterAll(() => stack?.close());

  const cli = (...args: string[]) => runClient(["worker", ...args], { cwd: tmpdir(), env: stack.env });
  const launch = (id: string, env: Readonly<Record<string, string>> = {}) => {
    const child = launchClient(["worker", "run", "--id", id], { cwd: tmpdir(), env: { ...stack.env, ...env } });
    running.push(child);
    return child;
  };
  const worker = async (id: string) =>
    (
      await stack.rows<Record<string, unknown>>(
        "select status, origin, gone_at is null as lives from workers where id = $1",
        [id],
      )
    )[0];
  const active = { status: "active", origin: "external", lives: true };
  const ended = { status: "terminated", origin: "external", lives: false };
  const statuses = async (ids: string[]) =>
    (await stack.rows<{ status: string }>("select status from tasks where id = any($1)", [ids])).map(
      ({ status }) => status,
    );

  it("run does the pool's tasks on this machine, without a pod, until it is drained", async () => {
    const child = launch("box-one");
    const tasks = await stack.submit(2);
    await expect.poll(() => statuses(tasks)).toEqual(["Complete", "Complete"]);
    expect(await worker("box-one")).toEqual(active);
    const drained = await cli("drain", "box-one");
    expect(drained).toMatchObject({ exitCode: 0, stdout: "worker box-one: draining" });
    const { exitCode, stderr } = await child;
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(await worker("box-one")).toEqual(ended);
    expect(await stack.rows("select id from workers where origin = 'pool'")).toEqual([]);
    expect(stderr).not.toContain("gpw_");
  });

  it("run removes its registration when it is stopped; the worker uses the project's public address", async () => {
    let requests = 0;
    const outside = await standBefore(stack.api, () => ((requests += 1), null));
    onTestFinished(() => void outside.close());
    const { port } = outside.address() as AddressInfo;
    const child = launch("box-two", { SUPABASE_PUBLIC_URL: `http://127.0.0.1:${port}` });
    await expect.poll(() => worker("box-two")).toEqual(active);
    child.kill("SIGTERM");
    const { exitCode, stderr } = await child;
    expect(requests).toBeGreaterThan(0);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stderr).toContain("worker box-two has left: stopped on its machine");
    expect(await worker("box-two")).toEqual(ended);
  });

  it("run registers nothing where no engine is named, and says what to set", async () => {
    await stack.rows("insert into pools (name) values ('bare')");
    const env = { ...stack.env, WORKER_ENGINE: "" };
    const args = ["worker", "run", "--pool", "bare", "--id", "box-zero"];
    const { exitCode, stderr } = await runClient(args, { cwd: tmpdir(), env });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("no engine is named for this worker");
    expect(stderr).toContain("Set WORKER_ENGINE=preview");
    expect(await worker("box-zero")).toBeUndefined();
  });

  it("token prints an environment that a worker elsewhere can use, and remove ends it", async () => {
    const { exitCode, stdout } = await cli("token", "--id", "box-three", "--json");
    expect(exitCode).toBe(0);
    const env = JSON.parse(stdout) as Record<string, string>;
    expect(env).toMatchObject({
      WORKER_ID: "box-three",
      SUPABASE_URL: stack.api,
      WORKER_TOKEN: expect.stringMatching(/^gpw_/),
    });
    expect(JSON.stringify(env)).not.toContain(stack.keys.serviceRoleKey);
    expect(env["OLD_WORKER_URL"]).toMatch(new RegExp(`^${stack.api}/functions/v1/old-worker/gpb_`));
    const [row] = await stack.rows<{ token_hash: string }>("select token_hash from workers where id = 'box-three'");
    expect(row?.token_hash).toBe(sha256(env["WORKER_TOKEN"] ?? ""));
    expect(await cli("token", "--id", "box-three")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("worker id box-three was used before"),
    });
    expect(await cli("remove", "box-three")).toMatchObject({ exitCode: 0, stdout: "worker box-three: removed" });
    expect(await cli("remove", "box-three")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("worker box-three is no longer living"),
    });
  });

  it("token names the project's public address, where the command itself uses another", async () => {
    const env = { ...stack.env, SUPABASE_PUBLIC_URL: "https://gpu.example.com/" };
    const { stdout } = await runClient(["worker", "token", "--id", "box-four"], { cwd: tmpdir(), env });
    expect(stdout).toMatch(/^SUPABASE_URL=https:\/\/gpu\.example\.com$/m);
    expect(stdout).toMatch(/^OLD_WORKER_URL=https:\/\/gpu\.example\.com\/functions\/v1\/old-worker\/gpb_/m);
    expect(stdout).not.toContain(stack.api);
    await cli("remove", "box-four");
  });
});
