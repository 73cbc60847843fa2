import { CLOUDS, type PodSettings } from "../contract/pool-settings.ts";
import { type GpuCosts, gpuCosts } from "./latency/gpu-cost.ts";
import type { MeasuredSpeed } from "./latency/measured.ts";

/*
 * Where a pod is asked for. A place is a GPU type in a cloud and a data center, with some memory. The settings name the
 * places and their order, the provider's catalog says what each costs and has in stock, and refusals cool places down.
 */

export type PlacementSettings = Pick<
  PodSettings,
  | "gpuTypes"
  | "clouds"
  | "dataCenterIds"
  | "minMemoryGb"
  | "ramTierFallback"
  | "minGpuMemoryGb"
  | "maxPriceUsdPerHour"
  | "placementCooldownSec"
>;
type Cloud = PlacementSettings["clouds"][number];
type Stock = "NONE" | "LOW" | "MEDIUM" | "HIGH";

/** What one cloud offers of a GPU type, as the catalog shows it; null is unknown. */
export interface Offer {
  readonly offered: boolean | null;
  readonly usdPerGpuHour: number | null;
  readonly availability: Stock | null;
  /** Stock of the data centers that have the type at all. */
  readonly dataCenters: readonly { readonly id: string; readonly availability: Stock | null }[] | null;
}

export interface CatalogType {
  readonly id: string;
  readonly memoryGb: number | null;
  readonly offers: { readonly [cloud in Cloud]?: Offer };
}

/** The network volume that every pod of the pool must mount. */
export type BindingVolume =
  | { readonly id: string; readonly dataCenterId: string | null }
  /** Why it cannot be mounted. */
  | { readonly problem: string };

export interface Place {
  readonly gpuType: string;
  readonly cloud: Cloud;
  /** Null: any. */
  readonly dataCenter: string | null;
  readonly minMemoryGb: number;
}

/** A refusal of this place. */
export interface Miss extends Place {
  readonly atMs: number;
}

export interface Candidate extends Place {
  /** Null: not known. */
  readonly usdPerHour: number | null;
  /** USD for a task as measured on this GPU type; null: too few were. */
  readonly usdPerTask: number | null;
  /** Null: not known. */
  readonly stock: Stock | null;
}

export interface Market {
  /** Null: not known. */
  readonly catalog: readonly CatalogType[] | null;
  /** Null: the pool has none. */
  readonly volume: BindingVolume | null;
  readonly misses: readonly Miss[];
  readonly nowMs: number;
  /** How long tasks took on each GPU type; left out: not known. */
  readonly speeds?: readonly MeasuredSpeed[];
  /** All places are in the order of what a task costs there, whatever the order of the settings. */
  readonly cheapestFirst?: boolean;
}

export interface Cooling {
  readonly candidate: Candidate;
  readonly untilMs: number;
}

export interface Placement {
  /** May be asked for now, the best first. */
  readonly open: readonly Candidate[];
  /** Were refused lately, the best first. */
  readonly cooling: readonly Cooling[];
  /** Are not asked for as the settings and the catalog are now, each with its reason. */
  readonly passedOver: readonly string[];
  /** Of these, how many only for want of stock. */
  readonly outOfStock: number;
  /** As in the market that it is of. */
  readonly cheapestFirst?: boolean;
}

/** This name stands for every type of the catalog. */
const ANY = "any";
/** As the older orchestrator has them, in GB: hosts with much memory fail less often. */
const MEMORY_TIERS = [72, 60, 48, 32, 16];
/** In a sentence; the others are counted. */
const NAMED = 4;

/** The catalog has none of the GPU types, so these settings can never rent a pod. Unknown catalog: not known, so false. */
export function namesNoGpuType(
  { gpuTypes }: Pick<PlacementSettings, "gpuTypes">,
  catalog: readonly Pick<CatalogType, "id">[] | null,
): boolean {
  return (
    catalog !== null &&
    catalog.length > 0 &&
    !gpuTypes.some((type) => type === ANY || catalog.some(({ id }) => id === type))
  );
}

/**
 * Which places can be asked for, in order: GPU type, then memory, then cloud, then data center; or the cheapest GPU type
 * and cloud first, then memory, then data center.
 */
export function placementOf(settings: PlacementSettings, market: Market): Placement {
  const { catalog, volume, misses, nowMs } = market;
  if (volume !== null && "problem" in volume) {
    return { open: [], cooling: [], passedOver: [volume.problem], outOfStock: 0 };
  }
  const costs = gpuCosts(market.speeds ?? []);
  const types = typesOf(settings, catalog, costs);
  if (types.length === 0) {
    const why = catalog === null ? "the catalog is not known" : "the catalog has none";
    return { open: [], cooling: [], passedOver: [`GPU type ${ANY}: ${why}`], outOfStock: 0 };
  }
  const judged = types.flatMap((gpuType) =>
    settings.clouds.flatMap((cloud) => offersOf(settings, market, gpuType, cloud)),
  );
  const listed = types.flatMap((gpuType) =>
    tiersOf(settings).flatMap((minMemoryGb) =>
      judged.flatMap(({ candidate }) =>
        candidate?.gpuType === gpuType
          ? [{ ...candidate, usdPerTask: costs.usdPerTask(gpuType, candidate.usdPerHour), minMemoryGb }]
          : [],
      ),
    ),
  );
  const candidates = market.cheapestFirst ? cheapestFirst(listed, costs) : listed;
  const cooldownMs = settings.placementCooldownSec * 1000;
  const cooled = candidates.map((candidate) => ({ candidate, untilMs: lastMissMs(candidate, misses) + cooldownMs }));
  return {
    open: cooled.filter(({ untilMs }) => untilMs <= nowMs).map(({ candidate }) => candidate),
    cooling: cooled.filter(({ untilMs }) => untilMs > nowMs),
    passedOver: judged.flatMap(({ reason }) => reason ?? []),
    outOfStock: judged.filter(({ isOutOfStock }) => isOutOfStock).length,
    ...(market.cheapestFirst && { cheapestFirst: true }),
  };
}

/** Equal costs, and unknown ones, stay in the order of the settings. */
function cheapestFirst(listed: readonly Candidate[], { comparedUsd }: GpuCosts): Candidate[] {
  const costOf = ({ gpuType, usdPerHour }: Candidate) => comparedUsd(gpuType, usdPerHour);
  return listed.toSorted((a, b) => compare(costOf(a), costOf(b)));
}

function typesOf(
  { gpuTypes, clouds }: PlacementSettings,
  catalog: Market["catalog"],
  { comparedUsd }: GpuCosts,
): readonly string[] {
  const named = [...new Set(gpuTypes.filter((name) => name !== ANY))];
  if (!gpuTypes.includes(ANY)) {
    return named;
  }
  const priceOf = ({ id, offers }: CatalogType) =>
    Math.min(...clouds.map((cloud) => comparedUsd(id, offers[cloud]?.usdPerGpuHour ?? null)));
  const others = (catalog ?? []).filter(({ id }) => !named.includes(id));
  return [...named, ...others.toSorted((a, b) => compare(priceOf(a), priceOf(b))).map(({ id }) => id)];
}

/** Infinity minus Infinity is no number. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The memory to ask for, from the most to the least. */
function tiersOf({ minMemoryGb, ramTierFallback }: PlacementSettings): readonly number[] {
  return ramTierFallback ? [...MEMORY_TIERS.filter((tier) => tier > minMemoryGb), minMemoryGb] : [minMemoryGb];
}

interface Judged {
  readonly candidate?: Omit<Candidate, "minMemoryGb" | "usdPerTask">;
  readonly reason?: string;
  readonly isOutOfStock?: boolean;
}

/** One entry for each data center, or one that says why none is asked. */
function offersOf(settings: PlacementSettings, market: Market, gpuType: string, cloud: Cloud): readonly Judged[] {
  const { catalog, volume } = market;
  const type = catalog?.find(({ id }) => id === gpuType);
  const offer = type?.offers[cloud];
  const refusal = refusalOf(settings, market, gpuType, cloud);
  if (refusal !== null) {
    return [{ reason: `${gpuType}, ${cloud}: ${refusal}` }];
  }
  const bound = volume !== null && "id" in volume ? volume.dataCenterId : null;
  const listed = settings.dataCenterIds ?? [];
  const dataCenters = bound !== null ? [bound] : listed.length > 0 ? [...new Set(listed)] : [null];
  return dataCenters.map((dataCenter): Judged => {
    const stock = stockIn(offer, dataCenter);
    const place = { gpuType, cloud, dataCenter, usdPerHour: offer?.usdPerGpuHour ?? null, stock };
    return stock === "NONE"
      ? { reason: `${gpuType}, ${cloud}${dataCenter === null ? "" : `, ${dataCenter}`}: no stock`, isOutOfStock: true }
      : { candidate: place };
  });
}

/** Why nothing of this type is asked for in this cloud, whatever is in stock; null: something may be. */
function refusalOf(settings: PlacementSettings, market: Market, gpuType: string, cloud: Cloud): string | null {
  const { minGpuMemoryGb, maxPriceUsdPerHour: ceiling, dataCenterIds = [] } = settings;
  const { catalog, volume } = market;
  const type = catalog?.find(({ id }) => id === gpuType);
  const offer = type?.offers[cloud];
  if (catalog !== null && type === undefined) {
    return "the catalog has no such GPU type";
  }
  if (catalog !== null && (offer === undefined || offer.offered === false)) {
    return "not offered in this cloud";
  }
  if (typeof type?.memoryGb === "number" && type.memoryGb < minGpuMemoryGb) {
    return `${type.memoryGb} GB of video memory, at least ${minGpuMemoryGb} wanted`;
  }
  const price = offer?.usdPerGpuHour ?? null;
  if (ceiling !== undefined && (price === null || price > ceiling)) {
    return price === null
      ? `its price is not known, and RUNPOD_MAX_PRICE_USD_PER_HOUR is ${ceiling}`
      : `$${price} an hour is above RUNPOD_MAX_PRICE_USD_PER_HOUR ${ceiling}`;
  }
  if (volume === null || "problem" in volume) {
    return null;
  }
  const { dataCenterId, id } = volume;
  if (cloud === "COMMUNITY") {
    return `network volume ${id} can only be mounted in ${CLOUDS[0]}`;
  }
  return dataCenterId !== null && dataCenterIds.length > 0 && !dataCenterIds.includes(dataCenterId)
    ? `network volume ${id} is in ${dataCenterId}, which RUNPOD_DATA_CENTER_IDS does not list`
    : null;
}

function stockIn(offer: Offer | undefined, dataCenter: string | null): Stock | null {
  if (offer === undefined || offer.availability === "NONE" || dataCenter === null) {
    return offer?.availability ?? null;
  }
  const shown = offer.dataCenters?.find(({ id }) => id === dataCenter);
  // A data center that the list lacks does not have the type.
  return offer.dataCenters !== null && shown === undefined ? "NONE" : (shown?.availability ?? null);
}

/** A place without room for a small memory has none for a larger one. */
function lastMissMs(place: Place, misses: readonly Miss[]): number {
  const own = misses.filter(
    (miss) =>
      miss.gpuType === place.gpuType &&
      miss.cloud === place.cloud &&
      miss.dataCenter === place.dataCenter &&
      miss.minMemoryGb <= place.minMemoryGb,
  );
  return Math.max(-Infinity, ...own.map(({ atMs }) => atMs));
}

/** When asking again makes sense, if nothing can be asked for now. */
export function retryAtMs({ placementCooldownSec }: PlacementSettings, { cooling }: Placement, nowMs: number): number {
  return Math.min(nowMs + placementCooldownSec * 1000, ...cooling.map(({ untilMs }) => untilMs));
}

/** Why this candidate, in one sentence for the journal. */
export function whyThisOne(chosen: Candidate, placement: Placement): string {
  const { open, cooling, passedOver } = placement;
  const others = open.filter((candidate) => candidate !== chosen).map(placeText);
  return [
    `${candidateText(chosen)}: the ${placement.cheapestFirst ? "cheapest" : "first"} of ${open.length} that can be asked for`,
    ...some("then", others),
    ...some(
      "refused lately",
      cooling.map(({ candidate }) => placeText(candidate)),
    ),
    ...some("passed over", passedOver),
  ].join("; ");
}

/**
 * Why nothing can be asked for, for the alert. It holds no time and no count of attempts.
 * @param request what all places are asked for, in words
 */
export function whyNone({ cooling, passedOver, outOfStock }: Placement, request: string): string {
  if (cooling.length === 0) {
    const what = outOfStock === 0 ? "no place can be asked for a pod" : "no place has a machine";
    return [what, ...some("passed over", passedOver)].join("; ");
  }
  const refused = cooling.map(({ candidate }) => placeText(candidate));
  const inStock = cooling.some(({ candidate }) => candidate.stock !== null);
  return [
    `every place that can be asked refuses (${cooling.length})${inStock ? ", although the catalog shows stock" : ""}`,
    `if this lasts, the request itself is the suspect: ${request}`,
    ...some("refused", refused),
    ...some("passed over", passedOver),
  ].join("; ");
}

function some(heading: string, all: readonly string[]): string[] {
  const more = all.length > NAMED ? ` and ${all.length - NAMED} more` : "";
  return all.length === 0 ? [] : [`${heading}: ${all.slice(0, NAMED).join(" | ")}${more}`];
}

function placeText({ gpuType, cloud, dataCenter, minMemoryGb }: Place): string {
  return `${gpuType}, ${cloud}, ${dataCenter ?? "any data center"}, ${minMemoryGb} GB`;
}

function candidateText(candidate: Candidate): string {
  const price = candidate.usdPerHour === null ? "price not known" : `$${candidate.usdPerHour} an hour`;
  const perTask = candidate.usdPerTask === null ? "" : `, $${candidate.usdPerTask.toPrecision(2)} a task as measured`;
  return `${placeText(candidate)}, ${price}${perTask}, stock ${candidate.stock ?? "not known"}`;
}
