import { describe, expect, it } from "vitest";
import { expectedPod, marketReader } from "../../../src/activities/placement/market.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { startKit } from "../../kit/simulator.ts";

function settingsOf(env: Record<string, string> = {}) {
  const { launch, placement } = loadConfig(env, { need: [] });
  return { ...launch, ...placement };
}

describe("what the provider offers", () => {
  it("is read once for all that ask within half a minute, and nobody who asks for a price alone waits for it", async () => {
    const { client, simulator } = await startKit();
    const market = marketReader(client);
    const reads = () => simulator.requests().filter(({ path }) => path.startsWith("/v2/catalog/gpus")).length;
    expect(await market.catalog(settingsOf(), 0)).toBeNull();
    const [first, second] = await Promise.all([
      market.catalog(settingsOf(), 10_000),
      market.catalog(settingsOf(), 10_000),
    ]);
    expect(first?.map(({ id }) => id)).toContain("NVIDIA L40S");
    expect(second).toBe(first);
    expect(await market.catalog(settingsOf(), 0)).toBe(first);
    // One for each cloud.
    expect(reads()).toBe(2);
  });

  it("is unknown, not empty, where the catalog cannot be read", async () => {
    const { client } = await startKit({ faults: [{ on: "gpus", kind: "error", times: 2 }] });
    const market = marketReader(client);
    expect(await market.catalog(settingsOf(), 10_000)).toBeNull();
    expect(expectedPod(settingsOf(), null)).toMatchObject({ gpuType: "NVIDIA GeForce RTX 4090", usdPerHour: null });
  });

  it("has the data center of a volume; where it cannot be read, the provider itself is left to bind it", async () => {
    const { client } = await startKit({ faults: [{ on: "volume-get", kind: "error" }] });
    const made = await client.createVolume({ name: "models", sizeGb: 20, dataCenterId: "EU-RO-1" });
    const id = made.kind === "created" ? made.volume.id : "none";
    const market = marketReader(client);
    const byId = settingsOf({ RUNPOD_NETWORK_VOLUME_ID: id, RUNPOD_STORAGE_NAME: "another" });
    expect(await market.volume(byId)).toEqual({ id, dataCenterId: null });
    await expect.poll(() => market.volume(byId)).toEqual({ id, dataCenterId: "EU-RO-1" });
    expect(await market.volume(settingsOf({ RUNPOD_STORAGE_NAME: "models" }))).toEqual({ id, dataCenterId: "EU-RO-1" });
    expect(await market.volume(settingsOf({ RUNPOD_NETWORK_VOLUME_ID: "gone" }))).toEqual({
      problem: "network volume gone (RUNPOD_NETWORK_VOLUME_ID) does not exist in this account",
    });
    expect(await market.volume(settingsOf())).toBeNull();
  });

  it("says what the next pod costs: the first place that is in stock and within the ceiling", async () => {
    const { client, simulator } = await startKit();
    simulator.changeMarket({ gpuTypeId: "NVIDIA GeForce RTX 4090", availability: "NONE" });
    const catalog = await marketReader(client).catalog(settingsOf(), 10_000);
    const types = "NVIDIA GeForce RTX 4090,NVIDIA H100 80GB HBM3,NVIDIA L40S";
    const settings = settingsOf({ RUNPOD_GPU_TYPE: types, RUNPOD_MAX_PRICE_USD_PER_HOUR: "1" });
    expect(expectedPod(settings, catalog)).toMatchObject({ gpuType: "NVIDIA L40S", usdPerHour: 0.86 });
  });
});
