import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createPoolActivities } from "../../../src/activities/pool.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { FAILURES } from "../../../src/contract/failures.ts";
import type { CatalogType } from "../../../src/policy/placement.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { type PoolStore, poolStore } from "../../../src/supabase/pool-store.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

describe("a pool's start with settings of its own", () => {
  let api: QueueApi;
  let pools: PoolStore;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    pools = poolStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
  });
  beforeEach(() => {
    pool = `p${randomUUID().slice(0, 8)}`;
  });
  afterAll(() => api?.close());

  const activities = (env: Readonly<Record<string, string>>, catalog: readonly CatalogType[] | null = null) => {
    const keys = { SUPABASE_ANON_KEY: "any", SUPABASE_SERVICE_ROLE_KEY: "any", RUNPOD_API_KEY: "any" };
    const config = loadConfig({ SUPABASE_URL: api.url, ...keys, RUNPOD_API_URL: "http://127.0.0.1:1/v2", ...env });
    return createPoolActivities({ config, deployment: "ours", pools, market: { catalog: async () => catalog } });
  };
  const open = async (given: Readonly<Record<string, unknown>>, env: Readonly<Record<string, string>> = {}) =>
    await activities(env).openPool(pool, given);
  const refusal = (message: string) => ({ type: FAILURES.invalidConfig, nonRetryable: true, message });

  it("is refused if these and the stored ones leave MIN above MAX: the error names both, and nothing is written", async () => {
    await open({ minActiveGpus: 5 });
    await expect(open({ maxActiveGpus: 3, scaleDownIdleSec: 9 })).rejects.toMatchObject(
      refusal("minActiveGpus=5 would be above maxActiveGpus=3"),
    );
    expect((await pools.settings(pool)).own).toEqual({ minActiveGpus: 5 });
    await open({ minActiveGpus: 1, maxActiveGpus: 3 });
    expect((await pools.settings(pool)).own).toEqual({ minActiveGpus: 1, maxActiveGpus: 3 });
  });

  it("is refused if these and the stored ones say twice what waiting is worth, and so is a change; a pool that was lost is opened", async () => {
    await open({ waitValue: 2 });
    const twice = "waitValue=2 and targetWaitSec=60 each say what waiting is worth; ";
    const refused = refusal(expect.stringContaining(twice) as never);
    await expect(open({ targetWaitSec: 60 })).rejects.toMatchObject(refused);
    const { reconfigure } = activities({ WAIT_COST_USD_PER_HOUR: "3" });
    await expect(reconfigure(pool, { targetWaitSec: 60 })).rejects.toMatchObject(refused);
    expect((await pools.settings(pool)).own).toEqual({ waitValue: 2 });
    const { values } = await reconfigure(pool, { waitValue: null, targetWaitSec: 60, policy: "latency" });
    expect(values).toMatchObject({ policy: "latency", targetWaitSec: 60 });
    expect(values).not.toHaveProperty("waitValue");
    expect(values).not.toHaveProperty("waitCostUsdPerHour");
    await pools.open(pool, {}, { first: "f", run: "r", lasting: true });
    expect(await open({ waitValue: 2 })).toMatchObject({ living: [] });
  });

  it("is refused if its pods could not work: the error names the variables, and no pool is made; a pool that was lost is opened", async () => {
    const real = { RUNPOD_API_URL: "https://api.runpod.io/v2", WORKER_PROFILE: "headless-wan2gp" };
    await expect(open({}, real)).rejects.toMatchObject(
      refusal(expect.stringMatching(/^its pods could not work: SUPABASE_URL=.*; RUNPOD_NETWORK_VOLUME_ID: /) as never),
    );
    await expect(open({ workerProfile: "custom" })).rejects.toMatchObject(
      refusal(expect.stringContaining("WORKER_START_COMMAND: profile custom needs it") as never),
    );
    expect(await pools.find(pool)).toBeNull();
    await pools.open(pool, {}, { first: "f", run: "r", lasting: true });
    expect(await open({}, real)).toMatchObject({ living: [] });
  });

  it("is refused if the catalog has none of its GPU types, and so is a change to such; a cycle and a pool that was lost are not", async () => {
    const start = { first: "f", run: "r", lasting: true };
    const catalog = [{ id: "NVIDIA L40S", memoryGb: 48, offers: {} }];
    const { openPool, reconfigure } = activities({ RUNPOD_GPU_TYPE: "NVIDIA L4OS" }, catalog);
    const refused = refusal(expect.stringContaining("the provider's catalog has no GPU type NVIDIA L4OS") as never);
    await expect(openPool(pool, {}, start)).rejects.toMatchObject(refused);
    expect(await pools.find(pool)).toBeNull();
    expect(await openPool(pool, {}, { first: "c", run: "c", lasting: false })).toMatchObject({ living: [] });
    const [typo, right] = [{ gpuTypes: ["NVIDIA L4OS"] }, { gpuTypes: ["NVIDIA L4OS", "NVIDIA L40S"] }];
    await expect(openPool(pool, typo, start)).rejects.toMatchObject(refused);
    await openPool(pool, right, start);
    await expect(reconfigure(pool, typo)).rejects.toMatchObject(refused);
    expect((await pools.settings(pool)).own).toEqual(right);
    expect(await openPool(pool, typo, start)).toMatchObject({ living: [] });
    // Not known is not absent.
    expect(await activities({ RUNPOD_GPU_TYPE: "NVIDIA L4OS" }).openPool(`${pool}x`, {}, start)).toMatchObject({
      living: [],
    });
  });

  it("is refused too if the other bound is the environment's, and then creates no pool", async () => {
    await expect(open({ minActiveGpus: 5 }, { MAX_ACTIVE_GPUS: "4" })).rejects.toMatchObject(
      refusal("minActiveGpus=5 would be above maxActiveGpus=4"),
    );
    await expect(pools.settings(pool)).rejects.toThrow(`pool ${pool} does not exist`);
  });

  it("without an end of its own makes the pool one that should run, until a shutdown; its row cannot be deleted", async () => {
    const shouldRun = async () =>
      (await api.queue.one<{ should_run: boolean }>("select should_run from pools where name = $1", [pool])).should_run;
    await pools.open(pool, {});
    expect(await shouldRun()).toBe(false);
    await pools.open(pool, {}, { first: "first", run: "first", lasting: true });
    expect(await shouldRun()).toBe(true);
    await pools.open(pool, {});
    await pools.setIntent(pool, { kind: "drain" });
    expect(await shouldRun()).toBe(true);
    await expect(api.queue.rows("delete from pools where name = $1", [pool])).rejects.toMatchObject({ code: "PT409" });
    await pools.setIntent(pool, { kind: "shutdown" });
    expect(await shouldRun()).toBe(false);
    await pools.open(pool, {});
    expect(await shouldRun()).toBe(false);
  });

  it("that nobody ordered leaves a pool that was shut down as it is; an ordered one begins it anew", async () => {
    const mode = async () =>
      (await api.queue.one<{ mode: string }>("select mode from pools where name = $1", [pool])).mode;
    const woken = (run: string) => ({ first: run, run, lasting: false, woken: true });
    await pools.open(pool, {});
    for (const kind of ["pause", "drain", "shutdown"] as const) {
      await pools.setIntent(pool, { kind });
      const before = await mode();
      await pools.open(pool, {}, woken(kind));
      expect(await mode()).toBe(before);
    }
    await pools.open(pool, {}, { first: "ordered", run: "ordered", lasting: false });
    expect(await mode()).toBe("normal");
  });

  it("is never refused for bounds that only the environment has changed", async () => {
    await open({ minActiveGpus: 5 });
    const lowered = { MAX_ACTIVE_GPUS: "4" };
    expect(await open({}, lowered)).toEqual({ living: [], deployment: "ours" });
    expect(await open({ scaleDownIdleSec: 9 }, lowered)).toEqual({ living: [], deployment: "ours" });
    expect((await pools.settings(pool)).own).toEqual({ minActiveGpus: 5, scaleDownIdleSec: 9 });
  });
});
