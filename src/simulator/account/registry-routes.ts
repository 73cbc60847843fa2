import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { answerFault, creationUnder, isFaulted } from "../faults.ts";
import { sendInvalid, sendProblem } from "../problems.ts";
import type { SimulatorState } from "../state.ts";

const text = z.string().min(1);
const createSchema = z.strictObject({ name: text, username: text, password: text });

interface WithId {
  readonly Params: { id: string };
}

/** `/v2/registries` and all routes below it. */
export function registerRegistryRoutes(app: FastifyInstance, state: SimulatorState): void {
  const { registries, fleet, faults, closing } = state;
  app.post("/registries", async (request, reply) => {
    const parsed = createSchema.safeParse(request.body);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "body");
    }
    const fault = faults.take("registry-create");
    const registry = { id: randomBytes(5).toString("hex"), name: parsed.data.name };
    if (creationUnder(fault)) {
      registries.set(registry.id, registry);
    }
    return (await answerFault(fault, reply, closing)) ? reply : reply.code(201).send(registry);
  });

  app.get("/registries", async (_request, reply) => {
    const fault = faults.take("registry-list");
    if (await answerFault(fault, reply, closing)) {
      return reply;
    }
    return { registries: [...(fault?.kind === "odd-entries" ? fault.entries : []), ...registries.values()] };
  });

  app.get<WithId>("/registries/:id", async (request, reply) => {
    if (await isFaulted(state, "registry-get", reply)) {
      return reply;
    }
    return registries.get(request.params.id) ?? registryNotFound(reply);
  });

  app.delete<WithId>("/registries/:id", async (request, reply) => {
    const { id } = request.params;
    if (!registries.has(id)) {
      return registryNotFound(reply);
    }
    if (fleet.all().some((pod) => pod.endedAtMs === null && pod.request.registry === id)) {
      return sendProblem(reply, 400, "registry credential is in use by a pod and cannot be deleted");
    }
    if (await isFaulted(state, "registry-delete", reply, () => void registries.delete(id))) {
      return reply;
    }
    registries.delete(id);
    return reply.code(204).send();
  });
}

function registryNotFound(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 404, "registry not found");
}
