import type { Volumes } from "../account/volumes.ts";
import { type CreateRequest, networkMountsOf } from "../create-request.ts";
import type { Placement } from "../fleet.ts";
import { NO_CAPACITY } from "../problems.ts";
import { DATA_CENTERS, GPU_TYPES } from "./catalog.ts";
import { type Market, mostGpus } from "./market.ts";

const CPU_USD_PER_VCPU_HOUR = 0.03;

export type Placed =
  | { readonly ok: true; readonly placement: Placement }
  | { readonly ok: false; readonly status: number; readonly detail: string };

/** Finds the pod's data center and price, or the refusal that the provider would send. */
export function placePod(request: CreateRequest, market: Market, volumes: Volumes): Placed {
  const allowed = allowedDataCenters(request, volumes);
  if (!Array.isArray(allowed)) {
    return allowed;
  }
  const { gpu, cpu, cloud } = request;
  if (cpu) {
    return placed(allowed[0], cpu.vcpuCount * CPU_USD_PER_VCPU_HOUR);
  }
  const type = GPU_TYPES.find(({ id }) => id === gpu?.id);
  if (!type) {
    return refused(400, `unknown GPU type "${gpu?.id}"`);
  }
  // Runpod answers a request without a count as if nothing were in stock.
  if (gpu?.count === undefined) {
    return refused(400, "create pod: There are no instances currently available");
  }
  const offers = allowed.map((id) => market.offer(type, cloud, id));
  const inStock = offers.find(({ availability }) => availability !== "NONE");
  if (!inStock || gpu.count > mostGpus(type, cloud)) {
    return refused(400, NO_CAPACITY);
  }
  return placed(inStock.dataCenterId, inStock.usdPerGpuHour * gpu.count);
}

function allowedDataCenters(request: CreateRequest, volumes: Volumes): string[] | Placed {
  const { dataCenterIds, cloud } = request;
  const existing = DATA_CENTERS.map(({ id }) => id);
  const asked = dataCenterIds ?? existing;
  if (!asked.every((id) => existing.includes(id))) {
    return refused(400, "dataCenterIds names an unknown data center");
  }
  const [mount] = networkMountsOf(request);
  if (!mount) {
    return [...asked];
  }
  const volume = volumes.find(mount.volumeId);
  if (!volume) {
    return refused(404, "network volume not found");
  }
  if (cloud === "COMMUNITY") {
    return refused(400, "network volumes are only available in the secure cloud");
  }
  return asked.includes(volume.dataCenterId)
    ? [volume.dataCenterId]
    : refused(400, `the network volume is in data center ${volume.dataCenterId}, which dataCenterIds does not name`);
}

function placed(dataCenterId: string | undefined, costPerHour: number): Placed {
  return dataCenterId === undefined
    ? refused(400, NO_CAPACITY)
    : { ok: true, placement: { dataCenterId, costPerHour } };
}

function refused(status: number, detail: string): Placed {
  return { ok: false, status, detail };
}
