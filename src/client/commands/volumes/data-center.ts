import { placementOf } from "../../../policy/placement.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { JobGround } from "../../jobs/ground.ts";

const STOCK = ["HIGH", "MEDIUM", "LOW"];
const NAMED = 8;

/**
 * Where a new volume is made. It binds every pod of the pool to its data center, so the pool's own GPU types decide: the best
 * in stock.
 * @param wanted named by the caller, who then is right
 */
export async function chooseDataCenter({ runpod, settings }: JobGround, wanted: string | undefined): Promise<string> {
  const [centers, catalog] = await Promise.all([runpod.listDataCenters(), runpod.listGpuTypes()]);
  if (centers.kind === "unknown" || catalog.kind === "unknown") {
    const detail = [centers, catalog]
      .map((each) => (each.kind === "unknown" ? each.detail : ""))
      .join(" ")
      .trim();
    throw new ClientError(EXIT.unreachable, `the provider's data centers are not known: ${detail}`, "Try again.");
  }
  const able = centers.dataCenters.filter(({ volumeTypes }) => volumeTypes === null || volumeTypes.length > 0);
  const ids = able.map(({ id }) => id);
  if (wanted !== undefined) {
    if (!ids.includes(wanted)) {
      const detail = `no network volume can be made in ${wanted}`;
      throw new ClientError(EXIT.usage, detail, `Data centers with volumes: ${ids.join(", ")}.`);
    }
    return wanted;
  }
  const listed = settings.dataCenterIds ?? [];
  const allowed = listed.length > 0 ? listed.filter((id) => ids.includes(id)) : ids;
  const ranked = allowed
    .flatMap((dataCenterId) => {
      const market = { catalog: catalog.gpuTypes, volume: { id: "new", dataCenterId }, misses: [], nowMs: Date.now() };
      const [best] = placementOf({ ...settings, clouds: ["SECURE"] }, market).open;
      return best === undefined ? [] : [{ dataCenterId, rank: rankOf(settings.gpuTypes, best.gpuType, best.stock) }];
    })
    .toSorted((a, b) => a.rank - b.rank);
  const [first] = ranked;
  if (first === undefined) {
    const detail = `no data center with network volumes has ${settings.gpuTypes.join(" or ")} in stock`;
    throw new ClientError(EXIT.failed, detail, `Name one of ${allowed.slice(0, NAMED).join(", ")} with --data-center.`);
  }
  return first.dataCenterId;
}

/** The preferred type first, then its stock. */
function rankOf(types: readonly string[], type: string, stock: string | null): number {
  const [place, supply] = [types.indexOf(type), STOCK.indexOf(stock ?? "")];
  return (place === -1 ? types.length : place) * (STOCK.length + 1) + (supply === -1 ? STOCK.length : supply);
}
