import { type Api, type CallOptions, listAll } from "./api.ts";
import type { Unknown } from "./outcomes.ts";
import { plausibleNumber, plausiblePrice } from "./plausible.ts";
import { booleanOf, fieldsOf, type Page, type PageForm, type Read, readId, readPage, textOf } from "./read.ts";
import type { Availability, Cloud, CloudOffer, DataCenter, GpuType } from "./types.ts";

const CLOUDS: readonly Cloud[] = ["SECURE", "COMMUNITY"];
const LEVELS: readonly Availability[] = ["NONE", "LOW", "MEDIUM", "HIGH"];

export type ListGpuTypesOutcome = { readonly kind: "complete"; readonly gpuTypes: readonly GpuType[] } | Unknown;

export type ListDataCentersOutcome =
  | { readonly kind: "complete"; readonly dataCenters: readonly DataCenter[] }
  | Unknown;

export interface ListGpuTypesOptions extends CallOptions {
  /** One request is sent for each. Default: both. */
  readonly clouds?: readonly Cloud[];
  /** GPUs that one pod needs, which the availability is asked for. Default 1. */
  readonly gpuCount?: number;
}

export interface CatalogCalls {
  /**
   * All GPU types with price and stock in each of the asked clouds. The stock is a snapshot: a type that it shows may be
   * gone, and the other way round.
   */
  listGpuTypes(options?: ListGpuTypesOptions): Promise<ListGpuTypesOutcome>;
  listDataCenters(options?: CallOptions): Promise<ListDataCentersOutcome>;
}

export function createCatalogCalls(api: Api): CatalogCalls {
  return {
    async listGpuTypes({ clouds = CLOUDS, gpuCount = 1, signal } = {}) {
      const types = new Map<string, GpuType>();
      for (const cloud of clouds) {
        const path = `/catalog/gpus?include=AVAILABILITY&product=POD&count=${gpuCount}&cloud=${cloud}`;
        const read = (body: unknown) => readGpuTypes(body, cloud);
        const list = await listAll(api, { what: `listing GPU types (${cloud})`, path, read, signal });
        if (list.kind === "unknown") {
          return list;
        }
        for (const type of list.items) {
          const known = types.get(type.id);
          types.set(type.id, known ? { ...known, offers: { ...known.offers, ...type.offers } } : type);
        }
      }
      return { kind: "complete", gpuTypes: [...types.values()] };
    },
    async listDataCenters({ signal } = {}) {
      const order = { what: "listing data centers", path: "/catalog/datacenters", read: readDataCenters, signal };
      const list = await listAll(api, order);
      return list.kind === "complete" ? { kind: "complete", dataCenters: list.items } : list;
    },
  };
}

function readGpuTypes(body: unknown, cloud: Cloud): Read<Page<GpuType>> {
  return readEntries(body, { key: "gpus", nouns: "GPU types", inOnePiece: true }, (entry) => readGpuType(entry, cloud));
}

function readDataCenters(body: unknown): Read<Page<DataCenter>> {
  return readEntries(body, { key: "dataCenters", nouns: "data centers", inOnePiece: true }, readDataCenter);
}

/** An entry without an id names nothing that could be ordered, so it is left out. */
function readEntries<T>(body: unknown, form: PageForm, read: (entry: unknown) => T | null): Read<Page<T>> {
  const page = readPage(body, form);
  if (!page.ok) {
    return page;
  }
  const items = page.value.items.map(read).filter((item) => item !== null);
  return { ok: true, value: { items, nextCursor: page.value.nextCursor } };
}

function readGpuType(entry: unknown, cloud: Cloud): GpuType | null {
  const raw = fieldsOf(entry);
  const id = typeof raw["id"] === "string" ? textOf(raw["id"]) : null;
  // The id of a GPU type is a name with blanks, not an id as those of pods.
  if (id === null || id !== raw["id"]) {
    return null;
  }
  const memoryGb = plausibleNumber(raw["memory"]);
  return {
    id,
    name: textOf(raw["name"]),
    memoryGb: memoryGb !== null && memoryGb > 0 && memoryGb <= 10_000 ? memoryGb : null,
    offers: { [cloud]: readOffer(raw, cloud) },
  };
}

function readOffer(raw: Readonly<Record<string, unknown>>, cloud: Cloud): CloudOffer {
  const key = cloud === "SECURE" ? "secure" : "community";
  const maxCount = plausibleNumber(fieldsOf(raw["maxCount"])[key]);
  const availability = levelOf(raw["availability"]);
  return {
    offered: booleanOf(raw[key]),
    usdPerGpuHour: plausiblePrice(fieldsOf(raw["price"])[key]),
    maxGpuCount: maxCount !== null && Number.isInteger(maxCount) && maxCount >= 0 ? maxCount : null,
    availability,
    dataCenters: readStock(raw["dataCenters"], availability),
  };
}

/** The provider leaves the data centers out where a type is in stock nowhere. */
function readStock(raw: unknown, availability: Availability | null): CloudOffer["dataCenters"] {
  if (!Array.isArray(raw)) {
    return availability === "NONE" && raw === undefined ? [] : null;
  }
  return raw.flatMap((entry) => {
    const id = readId(entry, "data center");
    return id.ok ? [{ id: id.value, availability: levelOf(fieldsOf(entry)["availability"]) }] : [];
  });
}

function readDataCenter(entry: unknown): DataCenter | null {
  const id = readId(entry, "data center");
  if (!id.ok) {
    return null;
  }
  const { name, region, networkVolumeTypes: types } = fieldsOf(entry);
  return {
    id: id.value,
    name: textOf(name),
    region: textOf(region),
    volumeTypes: Array.isArray(types) ? types.map((type) => textOf(type)).filter((type) => type !== null) : null,
  };
}

function levelOf(raw: unknown): Availability | null {
  return LEVELS.find((level) => level === raw) ?? null;
}
