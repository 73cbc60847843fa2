import { type Bed, startBed } from "./fleet/bed.ts";
import { measureBigFleet } from "./fleet/big-fleet.ts";
import { measureQuietPool } from "./fleet/quiet-pool.ts";
import type { Figure } from "./figure.ts";

export const description =
  "The cost of a pool of 500 idle workers, and the speed and memory of a fleet of 1,000 in two pools";

const SIZE = 500;

/**
 * Measures the embedded stack with light pods, which start within 0.2 s. Launches and calls to the provider are
 * practically unlimited. Figures per hour are extrapolated from one idle stretch.
 */
export async function run(): Promise<Figure[]> {
  process.stderr.write(`  a pool of ${SIZE}, idle for some five minutes …\n`);
  const quiet = await onBed((bed) => measureQuietPool(bed, SIZE));
  process.stderr.write(`  idle stretch: ${Math.round(quiet.stretchSec)} s\n  two pools of ${SIZE} …\n`);
  const big = await onBed((bed) => measureBigFleet(bed, SIZE));
  return [
    bounded(`${SIZE} idle workers: growth of the pool's history`, quiet.eventsPerHour, "events/h", 120),
    bounded(`${SIZE} idle workers: Temporal actions per worker`, quiet.actionsPerWorkerHour, "actions/h", 0.5),
    bounded("Temporal actions in the whole life of a worker", quiet.actionsPerLife, "actions", 15),
    noted(`${SIZE} idle workers: read from the database`, quiet.bytesPerHour / 1e6, "MB/h", {
      name: "a loop that reads all living workers every 30 s",
      value: quiet.peerBytesPerHour / 1e6,
    }),
    bounded(`0 → ${2 * SIZE} active workers`, big.upSec, "s", 30),
    bounded(`${2 * SIZE} workers: peak memory of the Temporal worker process`, big.peakRssMb, "MB", 300),
    bounded(`${2 * SIZE} idle workers: processor use of that process`, big.idleCores, "cores", 0.05),
    bounded(`${2 * SIZE} drains signalled`, big.signalledSec, "s", 15),
    bounded(`${2 * SIZE} drains: the last row refuses claims`, big.drainedSec, "s", 20),
    bounded(`${2 * SIZE} drains: pods deleted in the busiest second`, big.deletedPerSec, "pods", 100),
  ];
}

/** Each measurement has a bed of its own, because the state left in the server's memory would slow the next one. */
async function onBed<T>(measure: (bed: Bed) => Promise<T>): Promise<T> {
  const bed = await startBed();
  try {
    return await measure(bed);
  } finally {
    await bed.close();
  }
}

function bounded(name: string, value: number, unit: string, bound: number): Figure {
  return {
    name,
    value,
    unit,
    peer: { name: "the limit", value: bound },
    ratio: value / bound,
    betterIs: "lower",
    limit: { on: "value", bound },
    ok: value <= bound,
  };
}

function noted(name: string, value: number, unit: string, peer: Figure["peer"]): Figure {
  return { name, value, unit, peer, ratio: value / peer.value, betterIs: "lower", ok: true };
}
