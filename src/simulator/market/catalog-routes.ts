import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { isFaulted } from "../faults.ts";
import { sendInvalid, sendProblem } from "../problems.ts";
import type { SimulatorState } from "../state.ts";
import { type Cloud, DATA_CENTERS, GPU_TYPES, type GpuType } from "./catalog.ts";
import { bestOf, type Market, mostGpus } from "./market.ts";

const querySchema = z.object({
  include: z.enum(["AVAILABILITY"]).optional(),
  product: z.enum(["POD"]).optional(),
  count: z.coerce.number().int().min(1).optional(),
  cloud: z.enum(["SECURE", "COMMUNITY"]).optional(),
});

/** `GET /v2/catalog/gpus` and `GET /v2/catalog/datacenters`: what the market offers. */
export function registerCatalogRoutes(app: FastifyInstance, state: SimulatorState): void {
  const { market } = state;
  app.get("/catalog/gpus", async (request, reply) => {
    if (await isFaulted(state, "gpus", reply)) {
      return reply;
    }
    const parsed = querySchema.safeParse(request.query);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "query");
    }
    const { include, product, count, cloud } = parsed.data;
    if ((include === undefined) !== (product === undefined)) {
      return sendProblem(reply, 400, "include=AVAILABILITY and product=POD are only valid together");
    }
    if (include === undefined && (count !== undefined || cloud !== undefined)) {
      return sendProblem(reply, 400, "count and cloud are only valid with include=AVAILABILITY");
    }
    const gpus = GPU_TYPES.map((type) => ({
      ...type,
      price: { secure: priceOf(market, type, "SECURE"), community: priceOf(market, type, "COMMUNITY") },
      ...(include ? stockOf(market, type, cloud ?? "SECURE", count ?? 1) : {}),
    }));
    return { gpus };
  });

  app.get("/catalog/datacenters", async (_request, reply) =>
    (await isFaulted(state, "data-centers", reply)) ? reply : { dataCenters: DATA_CENTERS },
  );
}

/** Prices do not depend on the data center, so any one shows them. */
function priceOf(market: Market, type: GpuType, cloud: Cloud): number {
  return market.offer(type, cloud, DATA_CENTERS[0]?.id ?? "").usdPerGpuHour;
}

/** The provider leaves the data centers out where a type is in stock nowhere. */
function stockOf(market: Market, type: GpuType, cloud: Cloud, count: number): object {
  const dataCenters = DATA_CENTERS.map(({ id, name }) => ({
    id,
    name,
    availability: market.offer(type, cloud, id).shown,
  }));
  const availability = bestOf(dataCenters.map((dataCenter) => dataCenter.availability));
  return availability === "NONE" || count > mostGpus(type, cloud)
    ? { availability: "NONE" }
    : { availability, dataCenters };
}
