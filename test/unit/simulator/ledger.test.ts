import { expect, it, onTestFinished } from "vitest";
import { createFleet } from "../../../src/simulator/fleet.ts";
import { createRequestSchema } from "../../../src/simulator/create-request.ts";
import { billedSeconds, buildLedger } from "../../../src/simulator/ledger.ts";
import { DEFAULT_SETTINGS } from "../../../src/simulator/settings.ts";

const START_MS = Date.parse("2026-11-22T10:00:00Z");

function fleetWithClock() {
  const clock = { ms: START_MS };
  const fleet = createFleet({
    settings: () => ({ ...DEFAULT_SETTINGS, provisioningMs: 3_600_000, stopGraceMs: 0 }),
    now: () => clock.ms,
    launch: () => {
      throw new Error("no pod is launched in this test");
    },
    dataDir: "/nonexistent",
  });
  onTestFinished(() => fleet.close());
  const request = createRequestSchema.parse({ name: "main-1", image: "any", gpu: { id: "gpu", count: 1 } });
  const create = (costPerHour: number) => fleet.create(request, { dataCenterId: "EU-RO-1", costPerHour });
  return { clock, fleet, create, ledger: () => buildLedger(fleet.all(), clock.ms) };
}

it("each begun second of a billed span costs a whole second", () => {
  expect(billedSeconds([], START_MS)).toBe(0);
  expect(billedSeconds([{ fromMs: 0, toMs: 1 }], START_MS)).toBe(1);
  expect(
    billedSeconds(
      [
        { fromMs: 0, toMs: 2000 },
        { fromMs: 5000, toMs: null },
      ],
      6001,
    ),
  ).toBe(4);
});

it("a pod is billed from its creation to its deletion and not after", () => {
  const { clock, fleet, create, ledger } = fleetWithClock();
  const pod = create(0.69);
  clock.ms += 1_800_000;
  expect(ledger().pods[0]).toMatchObject({ live: true, billing: true, billedSec: 1800, costUsd: 0.345 });
  fleet.end(pod, "deleted");
  clock.ms += 3_600_000;
  expect(ledger().pods[0]).toMatchObject({
    live: false,
    billing: false,
    billedSec: 1800,
    costUsd: 0.345,
    createdAt: "2026-11-22T10:00:00.000Z",
    endedAt: "2026-11-22T10:30:00.000Z",
    endCause: "deleted",
  });
});

it("a stopped pod costs nothing until it is started again", () => {
  const { clock, fleet, create, ledger } = fleetWithClock();
  const pod = create(3.6);
  clock.ms += 10_000;
  fleet.act(pod, "stop");
  clock.ms += 500_000;
  expect(ledger().pods[0]).toMatchObject({ status: "EXITED", live: true, billing: false, billedSec: 10 });
  fleet.act(pod, "start");
  clock.ms += 20_000;
  expect(ledger().pods[0]).toMatchObject({ status: "PROVISIONING", billing: true, billedSec: 30, costUsd: 0.03 });
});

it("totals count all pods ever created, the live pods, and the cost of all", () => {
  const { clock, fleet, create, ledger } = fleetWithClock();
  const first = create(1.8);
  create(3.6);
  clock.ms += 1_000_000;
  fleet.end(first, "vanished");
  clock.ms += 1_000_000;
  const { totals } = ledger();
  expect(totals).toMatchObject({ pods: 2, live: 1 });
  expect(totals.costUsd).toBeCloseTo(0.5 + 2.0, 10);
});
