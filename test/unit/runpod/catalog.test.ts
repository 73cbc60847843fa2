import { describe, expect, it } from "vitest";
import { podRequest, raw, startKit, type Kit } from "../../kit/simulator.ts";
import { script } from "../../kit/runpod-answers.ts";

const RTX_4090 = "NVIDIA GeForce RTX 4090";
const A6000 = "NVIDIA RTX A6000";
const NAME = "main-0a1b2c3d";
const HELD = { settings: { provisioningMs: 60_000 } };

async function gpuTypes({ client }: Pick<Kit, "client">, options?: Parameters<Kit["client"]["listGpuTypes"]>[0]) {
  const list = await client.listGpuTypes(options);
  if (list.kind !== "complete") {
    throw new Error(list.detail);
  }
  return new Map(list.gpuTypes.map((type) => [type.id, type]));
}

describe("listing GPU types", () => {
  it("shows memory, and for each cloud the price and the stock of each data center", async () => {
    const kit = await startKit();
    kit.simulator.changeMarket(
      { gpuTypeId: RTX_4090, cloud: "SECURE", availability: "NONE" },
      { gpuTypeId: RTX_4090, cloud: "SECURE", dataCenterId: "US-KS-2", availability: "LOW" },
      { gpuTypeId: RTX_4090, cloud: "COMMUNITY", usdPerGpuHour: 0.41 },
    );
    const type = (await gpuTypes(kit)).get(RTX_4090);
    expect(type).toMatchObject({
      name: "RTX 4090",
      memoryGb: 24,
      offers: {
        SECURE: { offered: true, usdPerGpuHour: 0.69, maxGpuCount: 8, availability: "LOW" },
        COMMUNITY: { offered: true, usdPerGpuHour: 0.41, maxGpuCount: 4, availability: "HIGH" },
      },
    });
    const stock = type?.offers.SECURE?.dataCenters?.filter(({ availability }) => availability !== "NONE");
    expect(stock).toEqual([{ id: "US-KS-2", availability: "LOW" }]);
  });

  it("shows a type that is in stock nowhere with an empty list, also for a count that no machine has", async () => {
    const kit = await startKit();
    kit.simulator.changeMarket({ gpuTypeId: A6000, availability: "NONE" });
    const none = { availability: "NONE", dataCenters: [] };
    expect((await gpuTypes(kit)).get(A6000)?.offers).toMatchObject({ SECURE: none, COMMUNITY: none });
    const eight = (await gpuTypes(kit, { gpuCount: 8 })).get(RTX_4090);
    expect(eight?.offers).toMatchObject({ SECURE: { availability: "HIGH" }, COMMUNITY: none });
  });

  it("asks only for the clouds that it is given", async () => {
    const kit = await startKit();
    expect(Object.keys((await gpuTypes(kit, { clouds: ["COMMUNITY"] })).get(RTX_4090)?.offers ?? {})).toEqual([
      "COMMUNITY",
    ]);
    expect(kit.simulator.requests().map(({ path }) => path)).toEqual([
      "/v2/catalog/gpus?include=AVAILABILITY&product=POD&count=1&cloud=COMMUNITY",
    ]);
  });

  it("is unknown, never short, when one cloud's list fails", async () => {
    const kit = await startKit();
    for (const [kind, expected] of [
      ["error", {}],
      ["garbage", {}],
      ["reset", { reason: "unreachable" }],
      ["rate-limited", { reason: "rate_limited", retryAfterSec: 1 }],
    ] as const) {
      kit.simulator.addFault({ on: "gpus", kind: "late", afterMs: 0 });
      kit.simulator.addFault({ on: "gpus", kind });
      const detail = expect.stringContaining("listing GPU types (COMMUNITY)");
      expect(await kit.client.listGpuTypes()).toMatchObject({ kind: "unknown", detail, ...expected });
    }
  });

  it("is unknown when the answer is later than the deadline, and when the caller cancels", async () => {
    const kit = await startKit({ clientTimeoutMs: 300 });
    kit.simulator.addFault({ on: "gpus", kind: "late", afterMs: 60_000, times: 2 });
    expect(await kit.client.listGpuTypes()).toMatchObject({ detail: expect.stringContaining("within 300 ms") });
    expect(await kit.client.listGpuTypes({ signal: AbortSignal.timeout(50) })).toMatchObject({
      kind: "unknown",
      detail: expect.stringContaining("cancelled"),
    });
  });

  it("says why a key may not read the catalog", async () => {
    const { simulator, client } = await startKit();
    simulator.addFault({ on: "gpus", kind: "answer", status: 403, body: { detail: "access denied" } });
    expect(await client.listGpuTypes()).toMatchObject({
      kind: "unknown",
      reason: "forbidden",
      detail: expect.stringContaining("access denied"),
    });
  });

  it("invariant 17: leaves out entries without an id, and takes what is odd or not plausible for unknown", async () => {
    const kit = await startKit();
    const odd = {
      id: RTX_4090,
      name: 7,
      memory: -1,
      secure: "yes",
      price: { secure: 0, community: "0.34" },
      maxCount: null,
      availability: "PLENTY",
      dataCenters: [null, { id: "../x" }, { id: "US-KS-2", availability: 3 }, { id: "EU-RO-1", availability: "LOW" }],
      novelty: [1],
    };
    const body = { gpus: [null, 7, {}, { id: "" }, { id: "x\u0000y" }, odd, { id: A6000 }], extra: true };
    kit.simulator.addFault({ on: "gpus", kind: "answer", status: 200, body });
    const unknown = { offered: null, usdPerGpuHour: null, maxGpuCount: null, availability: null };
    const dataCenters = [
      { id: "US-KS-2", availability: null },
      { id: "EU-RO-1", availability: "LOW" },
    ];
    expect([...(await gpuTypes(kit, { clouds: ["SECURE"] })).values()]).toEqual([
      { id: RTX_4090, name: null, memoryGb: null, offers: { SECURE: { ...unknown, dataCenters } } },
      { id: A6000, name: null, memoryGb: null, offers: { SECURE: { ...unknown, dataCenters: null } } },
    ]);
  });

  it("is unknown when the body is no list, or announces pages without a cursor", async () => {
    const more = { nextCursor: null, hasNextPage: true };
    const { client } = await script(
      { status: 200, body: { gpus: { 0: { id: A6000 } } } },
      { status: 200, body: [{ id: A6000 }] },
      { status: 200, body: { gpus: [{ id: A6000 }], pagination: more } },
      { status: 200, body: { gpus: [{ id: A6000 }], pagination: {} } },
    );
    for (let asked = 1; asked <= 4; asked++) {
      expect(await client.listGpuTypes({ clouds: ["SECURE"] })).toMatchObject({ kind: "unknown" });
    }
  });

  it("reads further pages where the provider begins to send them", async () => {
    const page = (id: string, nextCursor: string | null) => ({
      status: 200,
      body: { gpus: [{ id }], pagination: { nextCursor, hasNextPage: nextCursor !== null } },
    });
    const { client, seen } = await script(page("a", "x"), page("b", null));
    expect([...(await gpuTypes({ client }, { clouds: ["SECURE"] })).keys()]).toEqual(["a", "b"]);
    expect(seen[1]).toMatch(/&cursor=x$/);
  });
});

describe("listing data centers", () => {
  it("shows the region and the kinds of network volumes of each", async () => {
    const { client } = await startKit();
    const list = await client.listDataCenters();
    expect(list.kind === "complete" && list.dataCenters).toEqual(
      expect.arrayContaining([
        {
          id: "EU-RO-1",
          name: "Europe Romania 1",
          region: "EUROPE",
          volumeTypes: ["STANDARD", "HIGH_PERFORMANCE"],
        },
        { id: "CA-MTL-1", name: "Canada Montreal 1", region: "NORTH_AMERICA", volumeTypes: [] },
      ]),
    );
  });

  it("is unknown after a failure, and keeps what is readable of odd entries", async () => {
    const { simulator, client } = await startKit();
    for (const kind of ["error", "garbage", "reset", "rate-limited"] as const) {
      simulator.addFault({ on: "data-centers", kind });
      expect(await client.listDataCenters()).toMatchObject({ kind: "unknown" });
    }
    const body = { dataCenters: [null, { id: 7 }, { id: "EU-X-1", networkVolumeTypes: ["STANDARD", 9], region: 1 }] };
    simulator.addFault({ on: "data-centers", kind: "answer", status: 200, body });
    expect(await client.listDataCenters()).toEqual({
      kind: "complete",
      dataCenters: [{ id: "EU-X-1", name: null, region: null, volumeTypes: ["STANDARD"] }],
    });
  });
});

describe("the market of the simulator", () => {
  it("refuses a pod of a type, cloud or data center out of stock as the provider does, until it is in stock again", async () => {
    const kit = await startKit(HELD);
    const create = (change: object) => kit.client.createPod({ ...podRequest(NAME), ...change });
    kit.simulator.changeMarket(
      { gpuTypeId: RTX_4090, cloud: "COMMUNITY", availability: "NONE" },
      { gpuTypeId: RTX_4090, dataCenterId: "EU-RO-1", availability: "NONE" },
    );
    const refused = {
      kind: "refused",
      reason: "capacity",
      status: 400,
      detail: expect.stringContaining("no longer any instances available"),
    };
    expect(await create({ cloud: "COMMUNITY" })).toMatchObject(refused);
    expect(await create({ dataCenterIds: ["EU-RO-1"] })).toMatchObject(refused);
    expect(await create({ gpu: { id: RTX_4090, count: 9 } })).toMatchObject(refused);
    expect(kit.simulator.ledger().totals.pods).toBe(0);
    expect(await create({ dataCenterIds: ["EU-RO-1", "US-KS-2"] })).toMatchObject({ kind: "created" });
    const shown = (await (await raw(kit, "GET", "/v2/pods")).json()) as { pods: { dataCenterId: string }[] };
    expect(shown.pods[0]?.dataCenterId).toBe("US-KS-2");
    kit.simulator.resetMarket();
    expect(await create({ cloud: "COMMUNITY" })).toMatchObject({ kind: "created", pod: { costPerHour: 0.34 } });
  });

  it("can show an outdated stock in the catalog, and charges the price that it was given", async () => {
    const kit = await startKit(HELD);
    kit.simulator.changeMarket({ gpuTypeId: A6000, availability: "NONE", shown: "HIGH" });
    expect((await gpuTypes(kit)).get(A6000)?.offers.SECURE).toMatchObject({ availability: "HIGH" });
    const gpu = { id: A6000, count: 2 };
    expect(await kit.client.createPod({ ...podRequest(NAME), gpu })).toMatchObject({ reason: "capacity" });
    kit.simulator.changeMarket({ gpuTypeId: A6000, availability: "LOW" }, { gpuTypeId: A6000, usdPerGpuHour: 1.5 });
    expect(await kit.client.createPod({ ...podRequest(NAME), gpu })).toMatchObject({ pod: { costPerHour: 3 } });
    expect(kit.simulator.ledger().pods[0]).toMatchObject({ costPerHour: 3 });
  });

  it("is seen and changed by the control routes, which refuse unknown names", async () => {
    const kit = await startKit();
    const rule = { gpuTypeId: A6000, cloud: "SECURE", dataCenterId: "EU-RO-1", availability: "MEDIUM" };
    expect((await raw(kit, "POST", "/_sim/market", [rule])).status).toBe(204);
    const offers = (await (await raw(kit, "GET", "/_sim/market")).json()) as unknown[];
    expect(offers).toContainEqual({ ...rule, shown: "MEDIUM", usdPerGpuHour: 0.49 });
    for (const wrong of [{ gpuTypeId: "ZX" }, { dataCenterId: "MOON-1" }, { stock: 3 }, { availability: "SOME" }]) {
      expect((await raw(kit, "POST", "/_sim/market", [wrong])).status).toBe(422);
    }
    const both = { dataCenterId: "EU-RO-1", usdPerGpuHour: 1 };
    expect((await raw(kit, "POST", "/_sim/market", [both])).status).toBe(422);
    expect((await raw(kit, "DELETE", "/_sim/market")).status).toBe(204);
    expect(kit.simulator.market().every(({ availability }) => availability === "HIGH")).toBe(true);
  });
});
