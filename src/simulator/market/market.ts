import { z } from "zod";
import { type Cloud, DATA_CENTERS, GPU_TYPES, type GpuType } from "./catalog.ts";

const LEVELS = ["NONE", "LOW", "MEDIUM", "HIGH"] as const;
export type Availability = (typeof LEVELS)[number];

/** Changes stock or price of all offers that it names; what it leaves out, it does not narrow down. */
export const ruleSchema = z
  .strictObject({
    gpuTypeId: z.enum(GPU_TYPES.map(({ id }) => id)).optional(),
    cloud: z.enum(["SECURE", "COMMUNITY"]).optional(),
    dataCenterId: z.enum(DATA_CENTERS.map(({ id }) => id)).optional(),
    /** NONE: a create request is refused. */
    availability: z.enum(LEVELS).optional(),
    /** What the catalog shows in place of the true availability, as an outdated snapshot does. */
    shown: z.enum(LEVELS).optional(),
    /** US dollars per hour for one GPU. */
    usdPerGpuHour: z.number().min(0).optional(),
  })
  .refine((rule) => rule.usdPerGpuHour === undefined || rule.dataCenterId === undefined, {
    path: ["usdPerGpuHour"],
    message: "prices do not depend on the data center",
  });

export type MarketRule = z.infer<typeof ruleSchema>;

export interface Offer {
  readonly gpuTypeId: string;
  readonly cloud: Cloud;
  readonly dataCenterId: string;
  readonly availability: Availability;
  readonly shown: Availability;
  readonly usdPerGpuHour: number;
}

/** What is in stock, at which price. By default everything is. */
export interface Market {
  /** Adds rules. The last rule that says something about an offer counts. */
  change(rules: readonly MarketRule[]): void;
  /** Everything is in stock again, at the catalog's prices. */
  reset(): void;
  offer(type: GpuType, cloud: Cloud, dataCenterId: string): Offer;
  offers(): readonly Offer[];
}

export function createMarket(): Market {
  const rules: MarketRule[] = [];

  const offer: Market["offer"] = (type, cloud, dataCenterId) => {
    const place = { gpuTypeId: type.id, cloud, dataCenterId } as const;
    const said = rules
      .filter(
        (rule) =>
          (rule.gpuTypeId ?? type.id) === type.id &&
          (rule.cloud ?? cloud) === cloud &&
          (rule.dataCenterId ?? dataCenterId) === dataCenterId,
      )
      .reduce<Partial<Offer>>((all, { availability, shown, usdPerGpuHour }) => {
        // A later word about the stock makes an earlier snapshot of it outdated.
        const stock = availability === undefined ? {} : { availability, shown: availability };
        return {
          ...all,
          ...stock,
          ...(shown === undefined ? {} : { shown }),
          ...(usdPerGpuHour === undefined ? {} : { usdPerGpuHour }),
        };
      }, {});
    const usdPerGpuHour = type.price[cloud === "SECURE" ? "secure" : "community"];
    return { availability: "HIGH", shown: said.availability ?? "HIGH", usdPerGpuHour, ...said, ...place };
  };

  return {
    change: (added) => void rules.push(...added),
    reset: () => void rules.splice(0),
    offer,
    offers: () =>
      GPU_TYPES.flatMap((type) =>
        (["SECURE", "COMMUNITY"] as const).flatMap((cloud) => DATA_CENTERS.map(({ id }) => offer(type, cloud, id))),
      ),
  };
}

export function bestOf(levels: readonly Availability[]): Availability {
  return LEVELS.findLast((level) => levels.includes(level)) ?? "NONE";
}

export function mostGpus(type: GpuType, cloud: Cloud): number {
  return type.maxCount[cloud === "SECURE" ? "secure" : "community"];
}
