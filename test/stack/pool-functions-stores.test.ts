import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectDatabase } from "../../src/supabase/client.ts";
import { type PoolStore, poolStore } from "../../src/supabase/pool-store.ts";
import { type WorkerStore, workerStore } from "../../src/supabase/worker-store.ts";
import { sha256 } from "../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../kit/queue-api.ts";

describe("the stores read what the functions answer, over HTTP", () => {
  let api: QueueApi;
  let pools: PoolStore;
  let workers: WorkerStore;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    pools = poolStore(database);
    workers = workerStore(database);
  });
  beforeEach(async () => {
    pool = `p${randomUUID().slice(0, 8)}`;
    await pools.open(pool, { maxActiveGpus: 3 });
  });
  afterAll(() => api?.close());

  it("a worker's whole life, from its reservation to its end", async () => {
    const request = { decisionId: randomUUID(), count: 1, max: 3, intentVersion: 0, instanceType: "RTX 4090" };
    const reserved = await pools.reserve(pool, request);
    expect(reserved).toMatchObject({ outcome: "reserved", workers: [expect.stringContaining(pool)] });
    expect(await pools.reserve(pool, request)).toEqual({ outcome: "already_reserved", workers: reserved.workers });
    const id = reserved.workers[0]!;
    expect(await workers.load(id)).toMatchObject({
      id,
      status: "spawning",
      podId: null,
      postState: null,
      readyMs: null,
    });
    expect(await workers.load("nobody")).toBeNull();

    const token = sha256(randomUUID());
    expect(await workers.beginPost(id, token, 60)).toBe(true);
    expect(await workers.beginPost(id, token, 60)).toBe(false);
    await workers.rearmPost(id, "no capacity");
    expect(await workers.beginPost(id, token, 60)).toBe(true);
    await workers.recordPod(id, { podId: "pod-1", costPerHourUsd: 0.34, createdAt: null }, false);
    await workers.recordBootStage(id, "running");
    expect(await workers.load(id)).toMatchObject({ podId: "pod-1", postState: "posted", bootStage: "running" });

    await api.queue.call("worker_heartbeat", { p_worker_id: id });
    const task = await api.queue.addTask(pool);
    await api.queue.lease(id);
    const reading = await pools.observe(pool, null, true, 30);
    expect(reading).toMatchObject({
      config: { maxActiveGpus: 3 },
      queued: 0,
      intent: { mode: "normal", hold: null, holdUntilMs: null, version: 0 },
      fleet: [{ id, status: "active", podId: "pod-1", costPerHourUsd: 0.34, task: { id: task, progressMs: null } }],
    });
    expect((await pools.observe(pool, reading.fleetHash, false, 30)).fleet).toBeNull();

    expect(await workers.drain(id, "too many", true)).toEqual({ outcome: "refused_busy", busy: true });
    const late = { cause: "worker_died", reason: "silent", heartbeatMs: 0, onlyIfSpawning: false } as const;
    expect(await workers.fail(id, late)).toMatchObject({ outcome: "refused_recovered" });
    expect(await workers.fail(id, { ...late, onlyIfSpawning: true })).toMatchObject({ outcome: "refused_ready" });
    expect(await workers.drain(id, "too many", false)).toEqual({ outcome: "drained", busy: true });
    expect(await workers.expel(id, "deadline")).toBe(1);
    await workers.recordDeleted(id);
    await workers.gone(id);
    expect(await workers.load(id)).toMatchObject({ status: "terminated", goneMs: expect.any(Number), busy: false });
    expect((await pools.open(pool, {})).living).toEqual([]);
  });

  it("a name that is burned", async () => {
    const id = await api.queue.newWorker(pool, { status: "spawning" });
    await workers.beginPost(id, sha256(randomUUID()), 60);
    await workers.burnName(id, "never seen");
    expect(await workers.load(id)).toMatchObject({ postState: "burned" });
    const ground = { cause: "host_lost", reason: "burned", heartbeatMs: null, onlyIfSpawning: true } as const;
    expect(await workers.fail(id, ground)).toMatchObject({ outcome: "failed" });
  });

  it("every message of an operator, as the intent that it makes", async () => {
    const mode = async (kind: "drain" | "pause" | "resume" | "shutdown") =>
      (await pools.setIntent(pool, { kind })).mode;
    expect(await mode("drain")).toBe("draining");
    expect(await mode("pause")).toBe("paused");
    expect(await mode("shutdown")).toBe("closing");
    expect(await mode("resume")).toBe("normal");
    expect(await pools.setIntent(pool, { kind: "scale", target: 2, forSec: 60 })).toMatchObject({
      hold: 2,
      holdUntilMs: expect.any(Number),
      version: 5,
    });
    expect(await pools.setIntent(pool, { kind: "scale", target: 0, forSec: null })).toMatchObject({
      hold: 0,
      holdUntilMs: null,
    });
    expect(await pools.setIntent(pool, { kind: "scale", target: null, forSec: null })).toMatchObject({ hold: null });
  });

  it("a decision and a note in the journal", async () => {
    const id = await api.queue.newWorker(pool);
    const signals = [{ worker: id, signal: "drain" }];
    await pools.beginWatch(pool, "watch-1");
    await pools.recordDecision(pool, {
      id: "d-1",
      watchId: "watch-1",
      reason: "idle",
      details: { desired: 0 },
      signals,
    });
    await pools.beginWatch(pool, "watch-2");
    expect(await pools.observe(pool, null, false, 30)).toMatchObject({ watchId: "watch-2" });
    const late = pools.recordDecision(pool, { id: "d-2", watchId: "watch-1", reason: "late", details: {}, signals });
    await expect(late).rejects.toThrow(`another watch decides for pool ${pool} now`);
    await pools.journal(pool, "watch.failed", "no answer");
    const events = "select kind, reason, decision_id, details from pool_events where pool = $1 order by id";
    expect(await api.queue.rows(events, [pool])).toEqual([
      { kind: "decision", reason: "idle", decision_id: "d-1", details: { desired: 0 } },
      { kind: "watch.failed", reason: "no answer", decision_id: null, details: {} },
    ]);
    expect((await pools.observe(pool, null, false, 30)).fleet).toMatchObject([{ id, signal: "drain" }]);
  });

  it("invariant 3: a pool that does not exist is an error that names it and says what to do", async () => {
    await expect(pools.observe("nowhere", null, true, 30)).rejects.toMatchObject({
      name: "DatabaseError",
      operation: "pool_observe",
      status: 404,
      message:
        "database: pool_observe failed (HTTP 404, PT404): pool nowhere does not exist. Start it: gpu-pool pool start.",
    });
  });
});
