import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { type PoolStore, poolStore } from "../../../src/supabase/pool-store.ts";
import {
  type PlacementStore,
  placementStore,
  type WorkerStore,
  workerStore,
} from "../../../src/supabase/worker-store.ts";
import { addEnded } from "../../kit/ended-tasks.ts";
import { sha256 } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const probe = { knownFleetHash: null, full: false, pollSec: 30, failureWindowMin: 5, minBoots: 5, spend: false };
const whole = { ...probe, full: true };

describe("the stores read the functions' answers over HTTP", () => {
  let api: QueueApi;
  let pools: PoolStore;
  let workers: WorkerStore;
  let placements: PlacementStore;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    pools = poolStore(database);
    workers = workerStore(database);
    placements = placementStore(database);
  });
  beforeEach(async () => {
    pool = `p${randomUUID().slice(0, 8)}`;
    await pools.open(pool, { maxActiveGpus: 3 });
  });
  afterAll(() => api?.close());

  it("the measured figures, which stay with the pool, and the kinds of the tasks of its fleet", async () => {
    const target = { targetSec: 60, percentile: 95, first: 2.5, lowest: 0.01, highest: 50, gain: 0.02, learns: true };
    const busy = await api.queue.newWorker(pool, { instance_type: "RTX 4090", origin: "external" });
    await addEnded(api.queue, pool, busy, [{ seconds: 40, params: { model: "m" } }]);
    await api.queue.addTasks(pool, 2, { params: { model: "m" } });
    await api.queue.lease(busy);
    const measure = { everySec: 60, knownMs: null, target };
    const { measured, fleet } = await pools.observe(pool, { ...probe, measure });
    expect(fleet).toMatchObject([{ task: { taskType: "generate_video", model: "m" } }]);
    const kind = { taskType: "generate_video", model: "m" };
    expect(measured).toMatchObject({
      bootSec: null,
      services: expect.arrayContaining([
        expect.objectContaining({ ...kind, samples: 1, quantilesSec: Array.from({ length: 21 }, () => 40) }),
      ]) as unknown,
      speeds: [{ ...kind, gpuType: "RTX 4090", samples: 1, meanSec: 40 }],
      demand: [{ ...kind, queued: 1 }],
      waitValue: null,
    });
    const { measuredMs } = measured!;
    expect((await pools.observe(pool, { ...probe, measure: { ...measure, knownMs: measuredMs } })).measured).toBeNull();
    expect(await pools.observe(pool, probe)).toMatchObject({ measured: null, fleet: [{ task: { taskType: null } }] });
    const another = poolStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
    expect((await another.look(pool))?.measured).toEqual(measured);
    expect((await placements.read(busy))?.speeds).toEqual(measured?.speeds);
  });

  it("a worker's whole life, from its reservation to its end", async () => {
    const request = {
      decisionId: randomUUID(),
      count: 1,
      max: 3,
      intentVersion: 0,
      instanceType: "RTX 4090",
      priceUsd: null,
      caps: { maxHourlySpendUsd: 5, dailyBudgetUsd: 50 },
    };
    const reserved = await pools.reserve(pool, request);
    expect(Math.abs(reserved.nowMs - Date.now())).toBeLessThan(60_000);
    expect(reserved).toMatchObject({ outcome: "reserved", workers: [expect.stringContaining(pool)] });
    expect(await pools.reserve(pool, request)).toMatchObject({
      outcome: "already_reserved",
      workers: reserved.workers,
    });
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
    expect(await placements.beginPost(id, { tokenHash: token, lifetimeSec: 60 })).toBe("elected");
    expect(await placements.beginPost(id, { tokenHash: token, lifetimeSec: 60 })).toBe("not_elected");
    await placements.rearmPost(id, "no capacity");
    expect(await placements.beginPost(id, { tokenHash: token, lifetimeSec: 60 })).toBe("elected");
    await workers.recordPod(id, { podId: "pod-1", costPerHourUsd: 0.34, createdAt: null }, false);
    await workers.recordBootStage(id, { name: "running", beganAt: null, withinSec: null });
    expect(await workers.load(id)).toMatchObject({ podId: "pod-1", postState: "posted", bootStage: "running" });

    // A stage began at the provider's time: not before the stage before it or the last list without it, not in the future.
    const stageAge = async (agoSec: number, withinSec: number | null) => {
      const before = "update workers set boot_stage = 'created', boot_stage_at = now() - interval '60 s' where id = $1";
      await api.queue.rows(before, [id]);
      const beganAt = new Date(Date.now() - agoSec * 1000).toISOString();
      await workers.recordBootStage(id, { name: "running", beganAt, withinSec });
      const { age } = await api.queue.one<{ age: number }>(
        "select round(extract(epoch from now() - boot_stage_at))::int as age from workers where id = $1",
        [id],
      );
      return age;
    };
    expect(await stageAge(3_600, null)).toBeGreaterThanOrEqual(60);
    expect(await stageAge(30, 1_000)).toBeLessThan(60);
    expect(await stageAge(3_600, 0)).toBeLessThan(30);
    expect(await stageAge(-3_600, null)).toBeLessThan(30);

    await api.queue.call("worker_heartbeat", { p_worker_id: id });
    const task = await api.queue.addTask(pool);
    await api.queue.lease(id);
    const reading = await pools.observe(pool, whole);
    expect(reading).toMatchObject({
      config: { maxActiveGpus: 3 },
      queued: 0,
      intent: { mode: "normal", hold: null, holdUntilMs: null, version: 0 },
      fleet: [{ id, status: "active", podId: "pod-1", costPerHourUsd: 0.34, task: { id: task, progressMs: null } }],
    });
    expect((await pools.observe(pool, { ...probe, knownFleetHash: reading.fleetHash })).fleet).toBeNull();

    expect(await workers.drain(id, { reason: "too many", onlyIdle: true })).toEqual({
      outcome: "refused_busy",
      busy: true,
    });
    const late = {
      cause: "worker_died",
      reason: "silent",
      evidence: "heartbeat",
      heartbeatMs: 0,
      progressMs: null,
      onlyIfSpawning: false,
    } as const;
    expect(await workers.fail(id, late)).toMatchObject({ outcome: "refused_recovered" });
    expect(await workers.fail(id, { ...late, onlyIfSpawning: true })).toMatchObject({ outcome: "refused_ready" });
    const order = { reason: "too many", onlyIdle: false };
    for (const untilTaskEnds of [true, false]) {
      expect(await workers.drain(id, { ...order, untilTaskEnds })).toEqual({ outcome: "drained", busy: true });
      expect(await workers.load(id)).toMatchObject({ drainsWithoutDeadline: untilTaskEnds });
      expect((await pools.observe(pool, whole)).fleet).toMatchObject([{ id, drainsWithoutDeadline: untilTaskEnds }]);
    }
    expect(await workers.expel(id, "deadline")).toBe(1);
    await workers.recordDeleted(id);
    await workers.gone(id);
    expect(await workers.load(id)).toMatchObject({ status: "terminated", goneMs: expect.any(Number), busy: false });
    expect((await pools.open(pool, {})).living).toEqual([]);
  });

  it("a name that is burned", async () => {
    const id = await api.queue.newWorker(pool, { status: "spawning" });
    await placements.beginPost(id, { tokenHash: sha256(randomUUID()), lifetimeSec: 60 });
    await workers.burnName(id, "never seen");
    expect(await workers.load(id)).toMatchObject({ postState: "burned" });
    const ground = {
      cause: "host_lost",
      reason: "burned",
      evidence: null,
      heartbeatMs: null,
      progressMs: null,
      onlyIfSpawning: true,
    } as const;
    expect(await workers.fail(id, ground)).toMatchObject({ outcome: "failed" });
  });

  it("every message of an operator, with the resulting intent", async () => {
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
    await pools.beginWatch(pool, "watch-1", {}, 0);
    await pools.recordDecision(pool, {
      id: "d-1",
      watchId: "watch-1",
      reason: "idle",
      details: { desired: 0 },
      signals,
    });
    await pools.beginWatch(pool, "watch-2", {}, 0);
    expect(await pools.observe(pool, probe)).toMatchObject({ watchId: "watch-2" });
    const late = pools.recordDecision(pool, { id: "d-2", watchId: "watch-1", reason: "late", details: {}, signals });
    await expect(late).rejects.toThrow(`another watch decides for pool ${pool} now`);
    await pools.journal(pool, "watch.failed", "no answer");
    const events = "select kind, reason, decision_id, details from pool_events where pool = $1 order by id";
    expect(await api.queue.rows(events, [pool])).toEqual([
      { kind: "decision", reason: "idle", decision_id: "d-1", details: { desired: 0 } },
      { kind: "watch.failed", reason: "no answer", decision_id: null, details: {} },
    ]);
    expect((await pools.observe(pool, probe)).fleet).toMatchObject([{ id, signal: "drain" }]);
  });

  it("the breaker, the spend and the counts in camelCase, and the environment's and the pool's settings", async () => {
    await pools.beginWatch(pool, "watch-1", { maxActiveGpus: 7 }, Date.now());
    const id = await api.queue.newWorker(pool, { cost_per_hr_usd: 0.5, pod_created_at: new Date() });
    await api.queue.call("worker_heartbeat", { p_worker_id: id, p_vram_total_mb: 24_576, p_vram_used_mb: 1 });
    const opened = { state: "open", reason: "9 of 10 failed" } as const;
    const decision = { id: "d-1", watchId: "watch-1", reason: "stay", details: {}, signals: [], breaker: opened };
    await pools.recordDecision(pool, decision);
    const reading = await pools.observe(pool, { ...probe, spend: true });
    expect(reading).toMatchObject({
      environment: { maxActiveGpus: 7 },
      breaker: { state: "open", sinceMs: expect.any(Number), failed: 0, ready: 0 },
      spend: {
        hourlyUsd: expect.any(Number),
        todayUsd: expect.any(Number),
        priceUsd: 0.5,
        unpriced: expect.any(Number),
      },
      launchedLastMinute: 1,
      failedRecently: 0,
      fleet: [{ id, vramMs: expect.any(Number) }],
    });
    expect((await pools.observe(pool, probe)).spend).toBeNull();
    expect(await workers.load(id)).toMatchObject({ config: { maxActiveGpus: 3 }, environment: { maxActiveGpus: 7 } });
    expect(await pools.reconfigure(pool, { minActiveGpus: 1, maxActiveGpus: null })).toEqual({ minActiveGpus: 1 });
    expect(await pools.settings(pool)).toEqual({ own: { minActiveGpus: 1 }, environment: { maxActiveGpus: 7 } });
    await expect(pools.settings("nowhere")).rejects.toThrow("pool nowhere does not exist. See gpu-pool pool list");
    await pools.markMassSilence(pool, true);
    const silence = await pools.observe(pool, probe);
    expect(silence.massSilenceSinceMs).toBeGreaterThanOrEqual(reading.nowMs);
    await pools.markMassSilence(pool, false);
    expect((await pools.observe(pool, probe)).massSilenceSinceMs).toBeNull();
    const order = { kind: "drain", worker: id, reason: "by hand" } as const;
    expect(await pools.orderWorker(pool, order)).toEqual({ outcome: "ordered", status: "active" });
    expect(await pools.orderWorker(pool, { ...order, worker: "nobody" })).toEqual({ outcome: "unknown", status: null });
  });

  it("invariant 3: an unknown pool is an error that names it and says what to do", async () => {
    await expect(pools.observe("nowhere", whole)).rejects.toMatchObject({
      name: "DatabaseError",
      operation: "pool_observe",
      status: 404,
      message: "database: pool_observe failed (HTTP 404, PT404): pool nowhere does not exist. See gpu-pool pool list.",
    });
  });
});
