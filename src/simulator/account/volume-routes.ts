import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { networkMountsOf } from "../create-request.ts";
import { answerFault, creationUnder, isFaulted } from "../faults.ts";
import { DATA_CENTERS } from "../market/catalog.ts";
import type { SimulatedPod } from "../pod.ts";
import { sendInvalid, sendNoFunds, sendProblem } from "../problems.ts";
import type { SimulatorState } from "../state.ts";
import type { SimulatedVolume } from "./volumes.ts";

const name = z.string().min(1);
const size = z.number().int().min(10).max(4096);
const createSchema = z.strictObject({
  name,
  size,
  dataCenter: z.string().min(1),
  type: z.enum(["STANDARD", "HIGH_PERFORMANCE"]).optional(),
});
const updateSchema = z
  .strictObject({ name: name.optional(), size: size.optional() })
  .refine((body) => Object.keys(body).length > 0, { message: "at least one field must be present" });

interface WithId {
  readonly Params: { id: string };
}

/** `/v2/network-volumes` and all routes below it. */
export function registerVolumeRoutes(app: FastifyInstance, state: SimulatorState): void {
  app.post("/network-volumes", async (request, reply) => await createVolume(state, request.body, reply));
  registerReadRoutes(app, state);
  registerChangeRoutes(app, state);
}

function registerReadRoutes(app: FastifyInstance, state: SimulatorState): void {
  const { volumes, faults, closing } = state;
  app.get("/network-volumes", async (_request, reply) => {
    const fault = faults.take("volume-list");
    if (await answerFault(fault, reply, closing)) {
      return reply;
    }
    const odd = fault?.kind === "odd-entries" ? fault.entries : [];
    return { networkVolumes: [...odd, ...volumes.listed().map(volumeBody)] };
  });

  app.get<WithId>("/network-volumes/:id", async (request, reply) => {
    if (await isFaulted(state, "volume-get", reply)) {
      return reply;
    }
    const volume = volumes.find(request.params.id);
    return volume ? volumeBody(volume) : volumeNotFound(reply);
  });
}

function registerChangeRoutes(app: FastifyInstance, state: SimulatorState): void {
  const { volumes, fleet } = state;
  app.patch<WithId>("/network-volumes/:id", async (request, reply) => {
    const volume = volumes.find(request.params.id);
    if (!volume) {
      return volumeNotFound(reply);
    }
    const parsed = updateSchema.safeParse(request.body);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "body");
    }
    const change = parsed.data;
    if (change.size !== undefined && change.size < volume.sizeGb) {
      return sendProblem(reply, 400, `size cannot be reduced from ${volume.sizeGb} GB`);
    }
    const update = (): void => volumes.update(volume, change.name ?? volume.name, change.size ?? volume.sizeGb);
    if (await isFaulted(state, "volume-update", reply, update)) {
      return reply;
    }
    update();
    return volumeBody(volume);
  });

  app.delete<WithId>("/network-volumes/:id", async (request, reply) => {
    const volume = volumes.find(request.params.id);
    if (!volume) {
      return volumeNotFound(reply);
    }
    const mountsIt = ({ request: made }: SimulatedPod) =>
      networkMountsOf(made).some(({ volumeId }) => volumeId === volume.id);
    const user = fleet.all().find((pod) => pod.endedAtMs === null && mountsIt(pod));
    if (user) {
      return sendProblem(reply, 400, `network volume is in use by pod ${user.id}`);
    }
    if (await isFaulted(state, "volume-delete", reply, () => volumes.delete(volume))) {
      return reply;
    }
    await volumes.delete(volume);
    return reply.code(204).send();
  });
}

async function createVolume(state: SimulatorState, body: unknown, reply: FastifyReply): Promise<FastifyReply> {
  const parsed = createSchema.safeParse(body);
  if (!parsed.success) {
    return sendInvalid(reply, parsed.error, "body");
  }
  const { dataCenter, type } = parsed.data;
  const types = DATA_CENTERS.find(({ id }) => id === dataCenter)?.networkVolumeTypes ?? [];
  const chosen = type ?? types[0];
  if (chosen === undefined || !types.includes(chosen)) {
    const able = DATA_CENTERS.filter((one) =>
      type ? one.networkVolumeTypes.includes(type) : one.networkVolumeTypes[0],
    );
    const ids = able.map(({ id }) => id).join(", ");
    return sendProblem(reply, 400, `data center "${dataCenter}" has no such network volumes; these have: ${ids}`);
  }
  const { noFundsStatus } = state.settings();
  if (noFundsStatus !== null) {
    return sendNoFunds(reply, noFundsStatus);
  }
  const fault = state.faults.take("volume-create", parsed.data.name);
  const variation = creationUnder(fault);
  const wanted = { name: parsed.data.name, sizeGb: parsed.data.size, dataCenterId: dataCenter, type: chosen };
  const volume = variation && (await state.volumes.create(wanted, variation.listLagMs));
  if (await answerFault(fault, reply, state.closing)) {
    return reply;
  }
  return reply.code(201).send(volume && volumeBody(volume));
}

function volumeBody({ id, name: shownName, sizeGb, dataCenterId, type }: SimulatedVolume): Record<string, unknown> {
  return { id, name: shownName, size: sizeGb, dataCenter: dataCenterId, type };
}

function volumeNotFound(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 404, "network volume not found");
}
