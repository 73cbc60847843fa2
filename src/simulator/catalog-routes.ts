import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { DATA_CENTERS, GPU_TYPES } from "./catalog.ts";
import { sendInvalid, sendProblem } from "./problems.ts";

const querySchema = z.object({ include: z.enum(["AVAILABILITY"]).optional(), product: z.enum(["POD"]).optional() });

/** `GET /v2/catalog/gpus`: GPU types and prices; availability is always high. */
export function registerCatalogRoutes(app: FastifyInstance): void {
  app.get("/catalog/gpus", async (request, reply) => {
    const parsed = querySchema.safeParse(request.query);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "query");
    }
    const { include, product } = parsed.data;
    if ((include === undefined) !== (product === undefined)) {
      return sendProblem(reply, 400, "include=AVAILABILITY and product=POD are only valid together");
    }
    const stock = { availability: "HIGH", dataCenters: DATA_CENTERS.map((id) => ({ id, availability: "HIGH" })) };
    return { gpus: GPU_TYPES.map((type) => (include ? { ...type, ...stock } : type)) };
  });
}
