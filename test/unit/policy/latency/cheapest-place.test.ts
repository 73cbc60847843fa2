import { describe, expect, it } from "vitest";
import {
  type CatalogType,
  type Market,
  placementOf,
  type PlacementSettings,
  whyThisOne,
} from "../../../../src/policy/placement.ts";

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

function offer(usdPerGpuHour: number | null) {
  return { offered: true, usdPerGpuHour, availability: "HIGH", dataCenters: null } as const;
}
const CATALOG: readonly CatalogType[] = [
  { id: "A", memoryGb: 24, offers: { SECURE: offer(0.69), COMMUNITY: offer(0.34) } },
  { id: "B", memoryGb: 48, offers: { SECURE: offer(0.86), COMMUNITY: offer(0.79) } },
  { id: "C", memoryGb: 80, offers: { SECURE: offer(0.5) } },
];

function place(settings: Partial<PlacementSettings>, seen: Partial<Market>) {
  return placementOf({ ...SETTINGS, ...settings }, { catalog: CATALOG, volume: null, misses: [], nowMs: NOW, ...seen });
}

function open(settings: Partial<PlacementSettings>, seen: Partial<Market> = {}): string[] {
  return place(settings, seen).open.map(({ gpuType, cloud, minMemoryGb }) => `${gpuType} ${cloud[0]} ${minMemoryGb}`);
}

describe("the cheapest place first", () => {
  const slow = { gpuType: "A", taskType: "video", model: null, samples: 40, meanSec: 300 };
  const fast = { gpuType: "B", taskType: "video", model: null, samples: 40, meanSec: 200 };
  const all = { gpuTypes: ["B", "A"], clouds: ["SECURE", "COMMUNITY"] as const };

  it("is by price an hour until tasks are measured, whatever the order of the settings", () => {
    expect(open(all, { cheapestFirst: true })).toEqual(["A C 32", "A S 32", "B C 32", "B S 32"]);
    expect(open(all)).toEqual(["B S 32", "B C 32", "A S 32", "A C 32"]);
  });

  it("is by what a measured task costs: a dear GPU that is fast comes before a cheap one that is slow", () => {
    const seen = { cheapestFirst: true, speeds: [slow, fast] };
    // 0.69 × 300 is more than 0.86 × 200 and 0.79 × 200, and 0.34 × 300 is less.
    expect(open(all, seen)).toEqual(["A C 32", "B C 32", "B S 32", "A S 32"]);
    expect(open({ ...all, clouds: ["SECURE"] }, seen)).toEqual(["B S 32", "A S 32"]);
  });

  it("keeps the tiers of memory of one place together, and unknown prices last", () => {
    const tiers = { gpuTypes: ["A", "B"], ramTierFallback: true, minMemoryGb: 60 };
    expect(open(tiers, { cheapestFirst: true })).toEqual(["A S 72", "A S 60", "B S 72", "B S 60"]);
    const catalog = [{ id: "A", memoryGb: 24, offers: { SECURE: offer(null) } }, ...CATALOG.slice(1)];
    expect(open({ gpuTypes: ["A", "B"] }, { catalog, cheapestFirst: true })).toEqual(["B S 32", "A S 32"]);
    expect(open({ gpuTypes: ["B", "A"] }, { catalog: null, cheapestFirst: true })).toEqual(["B S 32", "A S 32"]);
  });

  it("goes on to the next cheapest after a refusal, and says what a task costs", () => {
    const placement = place(
      { gpuTypes: ["A", "B"] },
      {
        cheapestFirst: true,
        speeds: [slow, fast],
        misses: [{ gpuType: "B", cloud: "SECURE", dataCenter: null, minMemoryGb: 32, atMs: NOW }],
      },
    );
    expect(whyThisOne(placement.open[0]!, placement)).toBe(
      "A, SECURE, any data center, 32 GB, $0.69 an hour, $0.058 a task as measured, stock HIGH: " +
        "the cheapest of 1 that can be asked for; refused lately: B, SECURE, any data center, 32 GB",
    );
  });

  it("orders the types that any stands for by it, under every policy", () => {
    expect(open({ gpuTypes: ["any"] })).toEqual(["C S 32", "A S 32", "B S 32"]);
    const quick = { ...fast, meanSec: 50 };
    expect(open({ gpuTypes: ["any"] }, { speeds: [slow, quick] })).toEqual(["B S 32", "C S 32", "A S 32"]);
  });
});
