import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BindingVolume,
  type CatalogType,
  type Miss,
  type Offer,
  type Place,
  placementOf,
  type PlacementSettings,
  retryAtMs,
  whyNone,
  whyThisOne,
} from "../../../src/policy/placement.ts";

const NOW = 1_800_000_000_000;
const SETTINGS: PlacementSettings = {
  gpuTypes: ["A", "B"],
  clouds: ["SECURE"],
  dataCenterIds: undefined,
  minMemoryGb: 32,
  ramTierFallback: false,
  minGpuMemoryGb: 0,
  maxPriceUsdPerHour: undefined,
  placementCooldownSec: 60,
};

function offer(usdPerGpuHour: number | null, stock: Readonly<Record<string, Offer["availability"]>> | null): Offer {
  const levels = Object.values(stock ?? { any: null });
  return {
    offered: true,
    usdPerGpuHour,
    availability: stock !== null && levels.every((level) => level === "NONE") ? "NONE" : "HIGH",
    dataCenters: stock === null ? null : Object.entries(stock).map(([id, availability]) => ({ id, availability })),
  };
}
const STOCKED = { "EU-1": "HIGH", "US-1": "LOW" } as const;
const CATALOG: readonly CatalogType[] = [
  { id: "A", memoryGb: 24, offers: { SECURE: offer(0.69, STOCKED), COMMUNITY: offer(0.34, STOCKED) } },
  { id: "B", memoryGb: 48, offers: { SECURE: offer(0.86, STOCKED), COMMUNITY: offer(0.79, STOCKED) } },
  { id: "C", memoryGb: 80, offers: { SECURE: offer(0.5, STOCKED) } },
];

interface Seen {
  readonly catalog?: readonly CatalogType[] | null;
  readonly volume?: BindingVolume | null;
  readonly misses?: readonly Miss[];
}
function place(
  settings: Partial<PlacementSettings> = {},
  { catalog = CATALOG, volume = null, misses = [] }: Seen = {},
) {
  return placementOf({ ...SETTINGS, ...settings }, { catalog, volume, misses, nowMs: NOW });
}
function inWords({ gpuType, cloud, dataCenter, minMemoryGb }: Place): string {
  return [gpuType, cloud[0], dataCenter ?? "*", minMemoryGb].join(" ");
}
function open(settings: Partial<PlacementSettings> = {}, seen: Seen = {}): string[] {
  return place(settings, seen).open.map(inWords);
}
function missed(place: Partial<Place> & Pick<Place, "gpuType">, agoSec = 0): Miss {
  return { cloud: "SECURE", dataCenter: null, minMemoryGb: 32, atMs: NOW - agoSec * 1000, ...place };
}

describe("where a pod is asked for", () => {
  it("is every listed type in every listed cloud and data center, each in its order", () => {
    expect(open()).toEqual(["A S * 32", "B S * 32"]);
    expect(open({ clouds: ["COMMUNITY", "SECURE"], dataCenterIds: ["US-1", "EU-1"] })).toEqual([
      "A C US-1 32",
      "A C EU-1 32",
      "A S US-1 32",
      "A S EU-1 32",
      "B C US-1 32",
      "B C EU-1 32",
      "B S US-1 32",
      "B S EU-1 32",
    ]);
  });

  it("begins with the hosts that have the most memory, down to the smallest that is wanted", () => {
    const tiers = (minMemoryGb: number) =>
      place({ gpuTypes: ["A"], minMemoryGb, ramTierFallback: true }).open.map((each) => each.minMemoryGb);
    expect(tiers(16)).toEqual([72, 60, 48, 32, 16]);
    expect(tiers(32)).toEqual([72, 60, 48, 32]);
    expect(tiers(40)).toEqual([72, 60, 48, 40]);
    expect(tiers(96)).toEqual([96]);
    expect(tiers(8)).toEqual([72, 60, 48, 32, 16, 8]);
    // A better type with little memory comes before the next type with much.
    const both = { ramTierFallback: true, minMemoryGb: 60, dataCenterIds: ["EU-1", "US-1"] };
    expect(open(both).slice(0, 5)).toEqual(["A S EU-1 72", "A S US-1 72", "A S EU-1 60", "A S US-1 60", "B S EU-1 72"]);
  });

  it("is any type of the catalog with enough video memory, the cheapest first, if that is wanted", () => {
    expect(open({ gpuTypes: ["any"] })).toEqual(["C S * 32", "A S * 32", "B S * 32"]);
    expect(open({ gpuTypes: ["B", "any"], minGpuMemoryGb: 40 })).toEqual(["B S * 32", "C S * 32"]);
    expect(open({ gpuTypes: ["any"], clouds: ["COMMUNITY"] })).toEqual(["A C * 32", "B C * 32"]);
    expect(place({ gpuTypes: ["any"] }, { catalog: null })).toMatchObject({
      open: [],
      passedOver: ["GPU type any: the catalog is not known"],
    });
    expect(place({ gpuTypes: ["any"] }, { catalog: [] }).passedOver).toEqual(["GPU type any: the catalog has none"]);
  });

  it.each([
    [{ gpuTypes: ["X"] }, "X, SECURE: the catalog has no such GPU type"],
    [{ gpuTypes: ["C"], clouds: ["COMMUNITY"] as const }, "C, COMMUNITY: not offered in this cloud"],
    [{ gpuTypes: ["A"], minGpuMemoryGb: 48 }, "A, SECURE: 24 GB of video memory, at least 48 wanted"],
    [
      { gpuTypes: ["A"], maxPriceUsdPerHour: 0.68 },
      "A, SECURE: $0.69 an hour is above RUNPOD_MAX_PRICE_USD_PER_HOUR 0.68",
    ],
    [{ gpuTypes: ["A"], dataCenterIds: ["AP-1"] }, "A, SECURE, AP-1: no stock"],
  ])("passes over what does not fit, and says why: %j", (settings, reason) => {
    expect(place(settings)).toMatchObject({ open: [], cooling: [], passedOver: [reason] });
  });

  it("passes over what has no stock, and does not take an unknown stock for none", () => {
    const stock = (levels: Parameters<typeof offer>[1]) => ({
      catalog: [{ id: "A", memoryGb: 24, offers: { SECURE: offer(0.69, levels) } }],
    });
    const there = { gpuTypes: ["A"], dataCenterIds: ["EU-1", "US-1"] };
    expect(open(there, stock({ "EU-1": "NONE", "US-1": "LOW" }))).toEqual(["A S US-1 32"]);
    expect(open(there, stock({ "EU-1": null, "US-1": "LOW" }))).toEqual(["A S EU-1 32", "A S US-1 32"]);
    expect(open(there, stock(null))).toEqual(["A S EU-1 32", "A S US-1 32"]);
    expect(place(there, stock({ "EU-1": "NONE" })).outOfStock).toBe(2);
    expect(open({ gpuTypes: ["A"] }, stock({ "EU-1": "NONE" }))).toEqual([]);
  });

  it("is every listed place where the catalog is not known, but nothing of unknown price under a ceiling", () => {
    expect(place({}, { catalog: null }).open).toMatchObject([
      { gpuType: "A", usdPerHour: null, stock: null },
      { gpuType: "B", usdPerHour: null, stock: null },
    ]);
    expect(place({ gpuTypes: ["A"], maxPriceUsdPerHour: 5 }, { catalog: null })).toMatchObject({
      open: [],
      passedOver: ["A, SECURE: its price is not known, and RUNPOD_MAX_PRICE_USD_PER_HOUR is 5"],
    });
  });
});

describe("a network volume", () => {
  const volume = { id: "vol-1", dataCenterId: "US-1" };

  it("binds its data center, and its cloud", () => {
    expect(open({}, { volume })).toEqual(["A S US-1 32", "B S US-1 32"]);
    expect(open({ dataCenterIds: ["EU-1", "US-1"] }, { volume })).toEqual(["A S US-1 32", "B S US-1 32"]);
    expect(place({ gpuTypes: ["A"], dataCenterIds: ["EU-1"] }, { volume }).passedOver).toEqual([
      "A, SECURE: network volume vol-1 is in US-1, which RUNPOD_DATA_CENTER_IDS does not list",
    ]);
    expect(place({ gpuTypes: ["A"], clouds: ["COMMUNITY"] }, { volume }).passedOver).toEqual([
      "A, COMMUNITY: network volume vol-1 can only be mounted in SECURE",
    ]);
    expect(open({}, { volume: { ...volume, dataCenterId: null } })).toEqual(["A S * 32", "B S * 32"]);
  });

  it("that cannot be mounted leaves no place", () => {
    expect(place({}, { volume: { problem: "no volume is called models" } })).toEqual({
      open: [],
      cooling: [],
      passedOver: ["no volume is called models"],
      outOfStock: 0,
    });
  });
});

describe("a refused place", () => {
  const tiers = { gpuTypes: ["A"], ramTierFallback: true, minMemoryGb: 48 };

  it("cools down, and the next is asked for; afterwards it is the first again", () => {
    const misses = [missed({ gpuType: "A" }, 59)];
    expect(place({}, { misses })).toMatchObject({
      open: [{ gpuType: "B" }],
      cooling: [{ candidate: { gpuType: "A" }, untilMs: NOW + 1000 }],
    });
    expect(open({}, { misses: [missed({ gpuType: "A" }, 60)] })).toEqual(["A S * 32", "B S * 32"]);
  });

  it("without room for a small memory has none for a larger one", () => {
    expect(open(tiers, { misses: [missed({ gpuType: "A", minMemoryGb: 60 })] })).toEqual(["A S * 48"]);
    expect(open(tiers, { misses: [missed({ gpuType: "A", minMemoryGb: 48 })] })).toEqual([]);
  });

  it("says nothing of another type, cloud or data center", () => {
    const misses = [
      missed({ gpuType: "B" }),
      missed({ gpuType: "A", cloud: "COMMUNITY" }),
      missed({ gpuType: "A", dataCenter: "EU-1" }),
    ];
    expect(open({ gpuTypes: ["A"] }, { misses })).toEqual(["A S * 32"]);
  });

  it("is worth a second request when the first of all has cooled down; without one, after a cool-down", () => {
    const misses = [missed({ gpuType: "A" }, 20), missed({ gpuType: "B" }, 50)];
    expect(retryAtMs(SETTINGS, place({}, { misses }), NOW)).toBe(NOW + 10_000);
    expect(retryAtMs(SETTINGS, place({ gpuTypes: ["X"] }), NOW)).toBe(NOW + 60_000);
  });
});

describe("the reasons", () => {
  it("name the chosen place with price and stock, and what else there was", () => {
    const placement = place(
      { gpuTypes: ["A", "B", "C", "X"], dataCenterIds: ["EU-1"] },
      { misses: [missed({ gpuType: "A", dataCenter: "EU-1" })] },
    );
    expect(whyThisOne(placement.open[0]!, placement)).toBe(
      "B, SECURE, EU-1, 32 GB, $0.86 an hour, stock HIGH: the first of 2 that can be asked for; then: C, SECURE, EU-1, 32 GB; " +
        "refused lately: A, SECURE, EU-1, 32 GB; passed over: X, SECURE: the catalog has no such GPU type",
    );
  });

  it("suspect the request where every place refuses it, and not where nothing is in stock or nothing fits", () => {
    const misses = [missed({ gpuType: "A" }), missed({ gpuType: "B" })];
    const refused = whyNone(place({}, { misses }), "disk 50 GB");
    expect(refused).toContain("every place that can be asked refuses (2), although the catalog shows stock");
    expect(refused).toContain("the request itself is the suspect: disk 50 GB");
    expect(whyNone(place({}, { misses, catalog: null }), "disk 50 GB")).not.toContain("although");
    expect(whyNone(place({ dataCenterIds: ["AP-1"] }), "disk 50 GB")).toMatch(
      /^no place has a machine; passed over: A, /,
    );
    expect(whyNone(place({ gpuTypes: ["X"] }), "disk 50 GB")).toMatch(
      /^no place can be asked for a pod; passed over: X/,
    );
  });

  it("do not change while nothing else does, so that an alert is not told again", () => {
    const at = (agoSec: number) =>
      whyNone(place({ gpuTypes: ["A"] }, { misses: [missed({ gpuType: "A" }, agoSec)] }), "x");
    expect(at(1)).toBe(at(50));
  });
});

const name = fc.constantFrom("A", "B", "C", "X", "any");
const dataCenter = fc.constantFrom("EU-1", "US-1", "AP-1");
const level = fc.constantFrom("NONE", "LOW", "HIGH", null);
const anyOffer: fc.Arbitrary<Offer> = fc.record({
  offered: fc.constantFrom(true, false, null),
  usdPerGpuHour: fc.option(fc.double({ min: 0.001, max: 10, noNaN: true })),
  availability: level,
  dataCenters: fc.option(fc.array(fc.record({ id: dataCenter, availability: level }))),
});
const anySettings: fc.Arbitrary<PlacementSettings> = fc.record({
  gpuTypes: fc.array(name, { minLength: 1, maxLength: 4 }),
  clouds: fc.constantFrom<PlacementSettings["clouds"]>(["SECURE"], ["COMMUNITY"], ["SECURE", "COMMUNITY"]),
  dataCenterIds: fc.option(fc.array(dataCenter, { maxLength: 3 }), { nil: undefined }),
  minMemoryGb: fc.integer({ min: 1, max: 100 }),
  ramTierFallback: fc.boolean(),
  minGpuMemoryGb: fc.constantFrom(0, 24, 48),
  maxPriceUsdPerHour: fc.option(fc.double({ min: 0.001, max: 10, noNaN: true }), { nil: undefined }),
  placementCooldownSec: fc.integer({ min: 1, max: 600 }),
});
const anySeen = fc.record({
  catalog: fc.option(
    fc.uniqueArray(
      fc.record({
        id: fc.constantFrom("A", "B", "C"),
        memoryGb: fc.constantFrom(24, 48, null),
        offers: fc.record({ SECURE: anyOffer, COMMUNITY: anyOffer }, { requiredKeys: [] }),
      }),
      { selector: ({ id }) => id },
    ),
  ),
  volume: fc.option(fc.record({ id: fc.constant("vol-1"), dataCenterId: fc.option(dataCenter) })),
  misses: fc.array(
    fc.record({
      gpuType: fc.constantFrom("A", "B", "C"),
      cloud: fc.constantFrom("SECURE" as const, "COMMUNITY" as const),
      dataCenter: fc.option(dataCenter),
      minMemoryGb: fc.integer({ min: 1, max: 100 }),
      atMs: fc.integer({ min: NOW - 700_000, max: NOW }),
    }),
  ),
});

describe("every placement", () => {
  it("asks only for places that the settings, the catalog and the volume allow, each once, and for none that cools", () => {
    fc.assert(
      fc.property(anySettings, anySeen, (settings, seen) => {
        const { open, cooling } = place(settings, seen);
        const all = [...open, ...cooling.map(({ candidate }) => candidate)];
        expect(new Set(all.map(inWords)).size).toBe(all.length);
        const { volume, catalog } = seen;
        for (const { gpuType, cloud, dataCenter: where, minMemoryGb, usdPerHour, stock } of all) {
          expect(settings.gpuTypes.includes(gpuType) || settings.gpuTypes.includes("any")).toBe(true);
          expect(settings.clouds).toContain(cloud);
          expect(minMemoryGb).toBeGreaterThanOrEqual(settings.minMemoryGb);
          expect(stock).not.toBe("NONE");
          expect(usdPerHour === null || usdPerHour <= (settings.maxPriceUsdPerHour ?? Infinity)).toBe(true);
          expect(usdPerHour !== null || settings.maxPriceUsdPerHour === undefined).toBe(true);
          expect(catalog === null || catalog.some(({ id }) => id === gpuType)).toBe(true);
          expect(volume === null || cloud === "SECURE").toBe(true);
          expect(volume?.dataCenterId ?? where).toBe(where);
          expect(
            where === null || (settings.dataCenterIds ?? []).length === 0 || settings.dataCenterIds!.includes(where),
          ).toBe(true);
        }
        for (const candidate of open) {
          const hit = seen.misses.some(
            (miss) => miss.atMs + settings.placementCooldownSec * 1000 > NOW && inWords(miss) === inWords(candidate),
          );
          expect(hit).toBe(false);
        }
      }),
    );
  });

  it("loses no place by a refusal but for its cool-down, and says why where none is left", () => {
    fc.assert(
      fc.property(anySettings, anySeen, (settings, seen) => {
        const fresh = place(settings, { ...seen, misses: [] });
        const { open, cooling, passedOver } = place(settings, seen);
        expect([...open, ...cooling.map(({ candidate }) => candidate)].map(inWords).toSorted()).toEqual(
          fresh.open.map(inWords).toSorted(),
        );
        expect(open.length + cooling.length + passedOver.length).toBeGreaterThan(0);
        const next = retryAtMs({ ...SETTINGS, ...settings }, { ...fresh, open, cooling }, NOW);
        expect(next).toBeGreaterThan(NOW);
        expect(next).toBeLessThanOrEqual(NOW + settings.placementCooldownSec * 1000);
      }),
    );
  });

  it("comes to an end when each place that it asks for refuses", () => {
    fc.assert(
      fc.property(anySettings, anySeen, (settings, seen) => {
        const misses: Miss[] = [...seen.misses];
        const most = place(settings, seen).open.length;
        for (let asked = 0; ; asked++) {
          const [first] = place(settings, { ...seen, misses }).open;
          expect(asked).toBeLessThanOrEqual(most);
          if (first === undefined) {
            return;
          }
          misses.push({ ...first, atMs: NOW });
        }
      }),
      { numRuns: 50 },
    );
  });
});
