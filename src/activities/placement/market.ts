import type { PodSettings } from "../../contract/pool-settings.ts";
import { type BindingVolume, type CatalogType, placementOf } from "../../policy/placement.ts";
import type { RunpodClient } from "../../runpod/client.ts";
import type { NetworkVolume } from "../../runpod/types.ts";

/** The catalog is read again after this long, or after PLACEMENT_COOLDOWN_SEC if that is shorter. */
const FRESH_MS = 30_000;
/** An older catalog proves nothing about price or stock. */
const STALE_MS = 5 * 60_000;
const VOLUME_KEPT_MS = 5 * 60_000;
/** A volume that is missing may be made or renamed at any moment, so its absence is not remembered for long. */
const ABSENCE_KEPT_MS = 1_000;

/** The provider's offers as this process last read them. A restarted process reads them again. */
export interface MarketReader {
  /**
   * The catalog; null: not known. It is read in the background where it is too old.
   * @param patienceMs how long to wait for that; after it, the last catalog is answered, if it is young enough.
   */
  catalog(settings: PodSettings, patienceMs: number): Promise<readonly CatalogType[] | null>;
  /** The volume that the pool's pods must mount; null: none. */
  volume(settings: PodSettings): Promise<BindingVolume | null>;
}

type Calls = Pick<RunpodClient, "listGpuTypes" | "getVolume" | "findVolume">;

export function marketReader(runpod: Calls): MarketReader {
  let last: { readonly types: readonly CatalogType[]; readonly atMs: number } | null = null;
  let triedMs = -Infinity;
  let reading: Promise<void> | null = null;
  const volumes = new Map<string, { readonly volume: BindingVolume; readonly untilMs: number }>();

  async function read(): Promise<void> {
    const askedMs = Date.now();
    const outcome = await runpod.listGpuTypes();
    if (outcome.kind === "complete") {
      last = { types: outcome.gpuTypes, atMs: askedMs };
    }
  }

  return {
    async catalog({ placementCooldownSec }, patienceMs) {
      // A caller without patience is a look of the watch, which needs only a price and comes every half second.
      const freshMs = patienceMs === 0 ? FRESH_MS : Math.min(FRESH_MS, placementCooldownSec * 1000);
      if (reading === null && Date.now() - triedMs >= freshMs) {
        triedMs = Date.now();
        reading = read().finally(() => (reading = null));
      }
      if (reading !== null && patienceMs > 0) {
        await Promise.race([reading, pause(patienceMs)]);
      }
      return last !== null && Date.now() - last.atMs < STALE_MS ? last.types : null;
    },

    async volume({ networkVolumeId, storageName }) {
      const key = networkVolumeId ? `id ${networkVolumeId}` : storageName ? `name ${storageName}` : null;
      if (key === null) {
        return null;
      }
      const known = volumes.get(key);
      if (known !== undefined && Date.now() < known.untilMs) {
        return known.volume;
      }
      const volume = networkVolumeId ? await byId(runpod, networkVolumeId) : await byName(runpod, storageName ?? "");
      const keptMs = "id" in volume && volume.dataCenterId !== null ? VOLUME_KEPT_MS : ABSENCE_KEPT_MS;
      volumes.set(key, { volume, untilMs: Date.now() + keptMs });
      return volume;
    },
  };
}

async function byId(runpod: Calls, id: string): Promise<BindingVolume> {
  const answer = await runpod.getVolume(id);
  switch (answer.kind) {
    case "found":
      return bindingOf(answer.volume);
    case "absent":
      return { problem: `network volume ${id} (RUNPOD_NETWORK_VOLUME_ID) does not exist in this account` };
    case "unknown":
      // The provider refuses a place in another data center, so asking without knowing it costs nothing.
      return { id, dataCenterId: null };
  }
}

async function byName(runpod: Calls, name: string): Promise<BindingVolume> {
  const answer = await runpod.findVolume(name);
  switch (answer.kind) {
    case "found":
      return bindingOf(answer.volume);
    case "several": {
      const ids = answer.volumes.map(({ id }) => id).join(", ");
      return {
        problem: `several network volumes are named ${name} (${ids}); set RUNPOD_NETWORK_VOLUME_ID to one of them`,
      };
    }
    case "absent":
      return { problem: `no network volume is named ${name} (RUNPOD_STORAGE_NAME)` };
    case "unknown":
      return { problem: `network volume named ${name}: not known: ${answer.detail}` };
  }
}

function bindingOf({ id, dataCenterId }: NetworkVolume): BindingVolume {
  return { id, dataCenterId };
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

/** The GPU type that the catalog lets the next pod have, and its price in USD an hour; null: not known. */
export function expectedPod(
  settings: PodSettings,
  catalog: readonly CatalogType[] | null,
): { readonly gpuType: string; readonly usdPerHour: number | null } {
  const [first] = placementOf(settings, { catalog, volume: null, misses: [], nowMs: 0 }).open;
  return first ?? { gpuType: settings.gpuTypes[0] ?? "", usdPerHour: null };
}
