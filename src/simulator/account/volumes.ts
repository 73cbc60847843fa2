import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { resolve } from "node:path";
import type { BilledSpan } from "../types.ts";

export interface SimulatedVolume {
  readonly id: string;
  readonly dataCenterId: string;
  readonly type: "STANDARD" | "HIGH_PERFORMANCE";
  /** The folder with the volume's files. */
  readonly folder: string;
  /** Lists show the volume from then on. */
  readonly listedFromMs: number;
  /** One span for each size, with the price that held during it. */
  readonly billed: (BilledSpan & { readonly usdPerHour: number })[];
  name: string;
  sizeGb: number;
  deleted: boolean;
}

/** The network volumes of the account. Each is a folder, which exists as long as the volume does. */
export interface Volumes {
  create(
    request: Pick<SimulatedVolume, "name" | "sizeGb" | "dataCenterId" | "type">,
    listLagMs?: number,
  ): Promise<SimulatedVolume>;
  /** Every volume ever, oldest first. */
  all(): readonly SimulatedVolume[];
  /** The volumes that a list shows now. */
  listed(): readonly SimulatedVolume[];
  find(id: string): SimulatedVolume | undefined;
  update(volume: SimulatedVolume, name: string, sizeGb: number): void;
  delete(volume: SimulatedVolume): Promise<void>;
  /** Deletes all folders, because the volumes are forgotten with the simulator. */
  close(): Promise<void>;
}

/** US dollars per GB and month; the provider's price falls after the first TB. */
const USD_PER_GB_MONTH = { STANDARD: 0.07, HIGH_PERFORMANCE: 0.14 };
const USD_PER_GB_MONTH_OVER_TB = { STANDARD: 0.05, HIGH_PERFORMANCE: 0.14 };
const HOURS_PER_MONTH = 730;

/** Absolute path of a network volume's folder. */
export function volumePath(dataDir: string, id: string): string {
  return resolve(dataDir, "volumes", id);
}

export function createVolumes(dataDir: string, now: () => number): Volumes {
  const volumes: SimulatedVolume[] = [];
  const bill = (volume: SimulatedVolume, usdPerHour: number | null): void => {
    const span = volume.billed.at(-1);
    if (span) {
      span.toMs = now();
    }
    if (usdPerHour !== null) {
      volume.billed.push({ fromMs: now(), toMs: null, usdPerHour });
    }
  };
  return {
    async create({ name, sizeGb, dataCenterId, type }, listLagMs = 0) {
      const id = randomBytes(5).toString("hex");
      const folder = volumePath(dataDir, id);
      await mkdir(folder, { recursive: true });
      const listedFromMs = now() + listLagMs;
      const volume = { id, name, sizeGb, dataCenterId, type, folder, listedFromMs, billed: [], deleted: false };
      volumes.push(volume);
      bill(volume, hourlyPrice(volume));
      return volume;
    },
    all: () => volumes,
    listed: () => volumes.filter(({ deleted, listedFromMs }) => !deleted && listedFromMs <= now()),
    find: (id) => volumes.find((volume) => volume.id === id && !volume.deleted),
    update(volume, name, sizeGb) {
      volume.name = name;
      volume.sizeGb = sizeGb;
      bill(volume, hourlyPrice(volume));
    },
    async delete(volume) {
      volume.deleted = true;
      bill(volume, null);
      await rm(volume.folder, { recursive: true, force: true });
    },
    async close() {
      await Promise.all(volumes.map(({ folder }) => rm(folder, { recursive: true, force: true })));
    },
  };
}

function hourlyPrice({ sizeGb, type }: SimulatedVolume): number {
  const month =
    Math.min(sizeGb, 1000) * USD_PER_GB_MONTH[type] + Math.max(0, sizeGb - 1000) * USD_PER_GB_MONTH_OVER_TB[type];
  return month / HOURS_PER_MONTH;
}
