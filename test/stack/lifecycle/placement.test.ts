import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createPodActivities } from "../../../src/activities/pods.ts";
import { createPoolActivities } from "../../../src/activities/pool.ts";
import { marketReader } from "../../../src/activities/placement/market.ts";
import { workerTimings } from "../../../src/activities/worker-timings.ts";
import { loadConfig, ownVariable } from "../../../src/config/config.ts";
import { environmentSettings } from "../../../src/config/settings-in-force.ts";
import type { CreatePodResult } from "../../../src/contract/activities.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { poolStore } from "../../../src/supabase/pool-store.ts";
import { placementStore, workerStore } from "../../../src/supabase/worker-store.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";
import { type Kit, raw, startKit } from "../../kit/simulator.ts";

const RTX_4090 = "NVIDIA GeForce RTX 4090";
const L40S = "NVIDIA L40S";
const H100 = "NVIDIA H100 80GB HBM3";
interface Event {
  readonly kind: string;
  readonly reason: string;
}

describe("a pod's place, with a real database and the simulator over HTTP", () => {
  let api: QueueApi;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
  });
  beforeEach(async () => {
    // Their account is one.
    await api.queue.rows("update workers set gone_at = now() where gone_at is null");
    pool = await api.queue.newPool();
  });
  afterAll(async () => await api?.close());

  async function start(env: Readonly<Record<string, string>> = {}, stops: (kit: Kit) => boolean = () => false) {
    const kit = await startKit();
    const { apiUrl, apiKey } = kit.simulator;
    const config = loadConfig({
      SUPABASE_URL: api.url,
      SUPABASE_ANON_KEY: api.keys.anonKey,
      SUPABASE_SERVICE_ROLE_KEY: api.keys.serviceRoleKey,
      RUNPOD_API_URL: apiUrl,
      RUNPOD_API_KEY: apiKey,
      RUNPOD_RAM_TIER_FALLBACK: "false",
      ...env,
    });
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    const workers = workerStore(database);
    const pools = poolStore(database);
    await pools.beginWatch(pool, "w", environmentSettings(config), Date.now());
    const market = marketReader(kit.client);
    const { createPod } = createPodActivities({
      config,
      deployment: "ours",
      runpod: kit.client,
      market,
      placements: placementStore(database),
      listPods: () => kit.client.listPods(),
      workers,
      logger: pino({ level: "silent" }),
      ownVariable: (name) => ownVariable(name, env),
      stopping: {
        get aborted() {
          return stops(kit);
        },
      } as AbortSignal,
    });
    const { reserveWorkers } = createPoolActivities({ config, deployment: "ours", pools, market });
    const context = { heartbeat: () => undefined, info: { attempt: 1 } } as unknown as Context;
    const createOf = async (worker: string): Promise<CreatePodResult> =>
      await asyncLocalStorage.run(context, () => createPod(pool, worker, workerTimings(config, {}, {})));
    return {
      kit,
      createOf,
      create: async () => await createOf(await api.queue.newWorker(pool, { status: "spawning" })),
      reserve: async (count: number) => {
        const caps = { maxHourlySpendUsd: config.budget.maxHourlySpendUsd ?? null, dailyBudgetUsd: null };
        const action = { kind: "spawn", count, max: 10, intentVersion: 0, caps, reason: "for the test" } as const;
        return await reserveWorkers(pool, randomUUID(), action);
      },
    };
  }

  async function events(...kinds: string[]): Promise<string[]> {
    const rows = await api.queue.rows<Event>(
      "select kind, reason from pool_events where pool = $1 and kind = any($2) order by id",
      [pool, kinds],
    );
    return rows.map(({ reason }) => reason);
  }

  /** The pods that exist: type, cloud and data center. */
  async function pods(kit: Kit): Promise<string[]> {
    const { pods: shown } = (await (await raw(kit, "GET", "/v2/pods")).json()) as {
      pods: { gpu: { id: string }; cloud: string; dataCenterId: string }[];
    };
    return shown.map(({ gpu, cloud, dataCenterId }) => `${gpu.id} ${cloud} ${dataCenterId}`);
  }

  function postTimes({ simulator }: Kit): number[] {
    const posts = simulator.requests().filter(({ method, path }) => method === "POST" && path === "/v2/pods");
    return posts.map(({ timeMs }) => timeMs);
  }

  function posts(kit: Kit): number {
    return postTimes(kit).length;
  }

  it("is the first one that gives a pod: others refuse in the same activity and cool down; later they are asked again", async () => {
    const { kit, create } = await start({
      RUNPOD_GPU_TYPE: `${RTX_4090},${L40S}`,
      RUNPOD_DATA_CENTER_IDS: "EU-RO-1,US-KS-2",
      PLACEMENT_COOLDOWN_SEC: "60",
    });
    // The catalog is outdated: it still shows stock.
    kit.simulator.changeMarket({ gpuTypeId: RTX_4090, availability: "NONE", shown: "HIGH" });
    kit.simulator.changeMarket({ gpuTypeId: L40S, dataCenterId: "EU-RO-1", availability: "NONE", shown: "LOW" });
    expect(await create()).toMatchObject({ kind: "created", pod: { costPerHourUsd: 0.86 } });
    expect(await pods(kit)).toEqual([`${L40S} SECURE US-KS-2`]);
    expect(posts(kit)).toBe(4);
    expect(await events("pod.asked")).toEqual([
      expect.stringContaining(`${RTX_4090}, SECURE, EU-RO-1, 32 GB, $0.69 an hour, stock HIGH: the first of 4`),
      expect.stringContaining(`${RTX_4090}, SECURE, US-KS-2`),
      expect.stringContaining(`${L40S}, SECURE, EU-RO-1`),
      expect.stringMatching(/^NVIDIA L40S, SECURE, US-KS-2.*the first of 1.*refused lately: NVIDIA GeForce RTX 4090/),
    ]);
    expect(await events("pod.refused")).toHaveLength(3);
    const shown = await api.queue.one("select instance_type, post_state from workers where pool = $1", [pool]);
    expect(shown).toEqual({ instance_type: L40S, post_state: "posted" });

    // The next worker does not ask again where the first was refused.
    await create();
    expect(posts(kit)).toBe(5);

    kit.simulator.resetMarket();
    await api.queue.rows("update placement_misses set missed_at = missed_at - interval '61 seconds' where pool = $1", [
      pool,
    ]);
    await create();
    expect(await pods(kit)).toContain(`${RTX_4090} SECURE EU-RO-1`);
  });

  it("is not asked for while a variable that the pod is to get has no value here, or a file that cannot be read", async () => {
    const unset = await start({ WORKER_ENV: "HF_TOKEN" });
    const detail = expect.stringContaining("WORKER_ENV names HF_TOKEN, not set where this Temporal worker runs");
    expect(await unset.create()).toMatchObject({ kind: "refused", retryable: false, detail });
    const broken = await start({ WORKER_ENV: "HF_TOKEN", HF_TOKEN_FILE: "/nowhere/hf-token" });
    const why = expect.stringContaining("HF_TOKEN_FILE=/nowhere/hf-token: there is no such file");
    expect(await broken.create()).toMatchObject({ kind: "refused", retryable: false, detail: why });
    expect(posts(unset.kit) + posts(broken.kit)).toBe(0);
  });

  it("is not asked once the process is to stop: the request that was sent is waited for, and no other follows", async () => {
    const env = { RUNPOD_GPU_TYPE: `${RTX_4090},${L40S}` };
    const { kit, create } = await start(env, (asked) => posts(asked) > 0);
    kit.simulator.changeMarket({ gpuTypeId: RTX_4090, availability: "NONE", shown: "HIGH" });
    const answer = await create();
    expect(answer).toMatchObject({ kind: "refused", retryable: true, detail: expect.stringContaining("stops") });
    expect(posts(kit)).toBe(1);
    expect(await pods(kit)).toEqual([]);
  });

  it("is not asked where the catalog shows no stock; the other cloud may be", async () => {
    const { kit, create } = await start({ RUNPOD_GPU_TYPE: RTX_4090, RUNPOD_CLOUD: "SECURE,COMMUNITY" });
    kit.simulator.changeMarket({ gpuTypeId: RTX_4090, cloud: "SECURE", availability: "NONE" });
    expect(await create()).toMatchObject({ kind: "created", pod: { costPerHourUsd: 0.34 } });
    expect(posts(kit)).toBe(1);
    expect(await pods(kit)).toEqual([expect.stringMatching(/^NVIDIA GeForce RTX 4090 COMMUNITY /)]);
    expect(await events("pod.asked")).toEqual([expect.stringContaining(`passed over: ${RTX_4090}, SECURE: no stock`)]);
  });

  it("asks for much memory first, and for less where no host has it", async () => {
    const { kit, create } = await start({ RUNPOD_RAM_TIER_FALLBACK: "true" });
    kit.simulator.addFault({ on: "create", kind: "no-capacity", times: 3 });
    await create();
    const memory = (await events("pod.asked")).map((reason) => / (\d+) GB,/.exec(reason)?.[1]);
    expect(memory).toEqual(["72", "60", "48", "32"]);
  });

  it("suspects the request where all places refuse it, tells since when, and takes it back with the next pod", async () => {
    const { kit, create } = await start({ RUNPOD_GPU_TYPE: `${RTX_4090},${L40S}`, PLACEMENT_COOLDOWN_SEC: "2" });
    const noPlace = async () =>
      (
        await api.queue.one<{ no_place_reason: string | null }>("select no_place_reason from pools where name = $1", [
          pool,
        ])
      ).no_place_reason;
    kit.simulator.changeMarket({ availability: "NONE", shown: "HIGH" });
    const refused = await create();
    expect(refused).toMatchObject({ kind: "refused", reason: "capacity", retryable: true });
    const { retryAfterSec, detail } = refused as { retryAfterSec: number; detail: string };
    expect(retryAfterSec).toBeGreaterThan(0);
    expect(retryAfterSec).toBeLessThanOrEqual(2);
    expect(detail).toContain("every place that can be asked refuses (2), although the catalog shows stock");
    expect(detail).toContain("the request itself is the suspect: image runpod/pytorch");
    expect(await noPlace()).toBe(detail);
    // Another worker asks nobody while all places cool down, and nothing is journaled twice.
    expect(await create()).toMatchObject({ kind: "refused", reason: "capacity" });
    expect(posts(kit)).toBe(2);
    expect(await events("placement.none")).toEqual([detail]);
    expect(await api.queue.rows("select distinct failed_on from workers where pool = $1", [pool])).toEqual([
      { failed_on: "place" },
    ]);

    kit.simulator.resetMarket();
    await expect.poll(async () => (await create()).kind).toBe("created");
    expect(await noPlace()).toBeNull();
  });

  it("is in the data center of the network volume, which a name finds only if it has no double", async () => {
    const { kit, create } = await start({ RUNPOD_STORAGE_NAME: "models", PLACEMENT_COOLDOWN_SEC: "1" });
    const make = async (dataCenterId: string) => {
      const made = await kit.client.createVolume({ name: "models", sizeGb: 20, dataCenterId });
      return made.kind === "created" ? made.volume.id : "none";
    };
    expect(await create()).toMatchObject({ detail: expect.stringContaining("no network volume is named models") });
    const first = await make("US-KS-2");
    await api.queue.rows("update pools set config = $2 where name = $1", [pool, { networkVolumeId: first }]);
    expect(await create()).toMatchObject({ kind: "created" });
    expect(await pods(kit)).toEqual([`${RTX_4090} SECURE US-KS-2`]);

    const second = await make("EU-RO-1");
    await api.queue.rows("update pools set config = '{}' where name = $1", [pool]);
    await expect
      .poll(async () => await create())
      .toMatchObject({
        kind: "refused",
        detail: expect.stringMatching(
          new RegExp(`several network volumes are named models.*${first}, ${second}|${second}, ${first}`),
        ),
      });
    // Elsewhere nothing was asked.
    expect(posts(kit)).toBe(1);
  });

  it("invariant 15: is within the hourly ceiling by the catalog's price, before the first pod and in each fall-back", async () => {
    const { kit, createOf, reserve } = await start({
      RUNPOD_GPU_TYPE: `${RTX_4090},${H100},${L40S}`,
      MAX_HOURLY_SPEND_USD: "2.1",
    });
    // No pod has a price yet; three at $0.69 fit.
    const { outcome, workers } = await reserve(5);
    expect({ outcome, count: workers.length }).toEqual({ outcome: "reserved", count: 3 });
    expect(await reserve(1)).toMatchObject({ outcome: "over_budget" });

    await createOf(workers[0]!);
    kit.simulator.changeMarket({ gpuTypeId: RTX_4090, availability: "NONE", shown: "HIGH" });
    // With two other workers, an H100 at $2.99 and an L40S at $0.86 are too dear.
    const refused = await createOf(workers[1]!);
    expect(refused).toMatchObject({ kind: "refused", detail: expect.stringContaining("MAX_HOURLY_SPEND_USD") });
    expect(await pods(kit)).toEqual([expect.stringContaining(RTX_4090)]);
    await api.queue.rows("update workers set status = 'error', gone_at = now() where id = $1", [workers[2]]);
    // Now there is room for the cheaper of the two.
    expect(await createOf(workers[1]!)).toMatchObject({ kind: "created", pod: { costPerHourUsd: 0.86 } });
  });

  it("invariant 1: is not looked for elsewhere after an answer that proves nothing", async () => {
    const { kit, create } = await start({ RUNPOD_GPU_TYPE: `${RTX_4090},${L40S}` });
    kit.simulator.addFault({ on: "create", kind: "error", created: true });
    expect(await create()).toMatchObject({ kind: "ambiguous" });
    expect(posts(kit)).toBe(1);
    expect(await api.queue.one("select post_state from workers where pool = $1", [pool])).toEqual({
      post_state: "posting",
    });
  });
});
