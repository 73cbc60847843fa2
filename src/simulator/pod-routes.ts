import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { spendUsdPerHour } from "./account/account-routes.ts";
import { createRequestSchema } from "./create-request.ts";
import { answerFault, creationUnder, isFaulted } from "./faults.ts";
import { placePod } from "./market/place.ts";
import { createPager } from "./pager.ts";
import { allowedActions, podBody, type SimulatedPod } from "./pod.ts";
import { sendInvalid, sendNoFunds, sendProblem } from "./problems.ts";
import type { SimulatorState } from "./state.ts";

const actionSchema = z.strictObject({ action: z.enum(["start", "stop", "restart", "terminate"]) });

interface WithId {
  readonly Params: { id: string };
}

/** `/v2/pods` and all routes below it, except the logs. */
export function registerPodRoutes(app: FastifyInstance, state: SimulatorState): void {
  registerListRoute(app, state);
  registerSinglePodRoutes(app, state);
  app.post("/pods", async (request, reply) => await createPod(state, request.body, reply));
}

async function createPod(state: SimulatorState, body: unknown, reply: FastifyReply): Promise<FastifyReply> {
  const { fleet, faults, market, volumes, registries, now, closing, settings } = state;
  const parsed = createRequestSchema.safeParse(body);
  if (!parsed.success) {
    return sendInvalid(reply, parsed.error, "body");
  }
  const wanted = parsed.data;
  const placed = placePod(wanted, market, volumes);
  if (!placed.ok) {
    return sendProblem(reply, placed.status, placed.detail);
  }
  if (wanted.registry !== undefined && !registries.has(wanted.registry)) {
    return sendProblem(reply, 404, "registry not found");
  }
  const { noFundsStatus, spendLimitUsdPerHour } = settings();
  if (spendUsdPerHour(state) + placed.placement.costPerHour > (spendLimitUsdPerHour ?? Infinity)) {
    return sendProblem(reply, 403, `the spend limit of $${spendLimitUsdPerHour} per hour would be exceeded`);
  }
  if (noFundsStatus !== null) {
    return sendNoFunds(reply, noFundsStatus);
  }
  const fault = faults.take("create", wanted.name);
  const variation = creationUnder(fault);
  const pod = variation && fleet.create(wanted, placed.placement, variation);
  if (await answerFault(fault, reply, closing)) {
    return reply;
  }
  return reply.code(201).send(pod && podBody(pod, now()));
}

function registerListRoute(app: FastifyInstance, { fleet, faults, now, closing, settings }: SimulatorState): void {
  const pager = createPager();
  app.get("/pods", async (request, reply) => {
    const fault = faults.take("list");
    if (await answerFault(fault, reply, closing)) {
      return reply;
    }
    const page = pager.page(fleet.listed(), request.query, settings().pageSize);
    if (!page.ok) {
      return sendInvalid(reply, page.error, "query");
    }
    const { pods, nextCursor } = page;
    return {
      pods: [...(fault?.kind === "odd-entries" ? fault.entries : []), ...pods.map((pod) => podBody(pod, now()))],
      pagination: { nextCursor, hasNextPage: nextCursor !== null },
    };
  });
}

function registerSinglePodRoutes(app: FastifyInstance, state: SimulatorState): void {
  const { fleet, now } = state;
  app.get<WithId>("/pods/:id", async (request, reply) => {
    if (await isFaulted(state, "get", reply)) {
      return reply;
    }
    const pod = fleet.find(request.params.id);
    return pod ? podBody(pod, now()) : podNotFound(reply);
  });

  app.delete<WithId>("/pods/:id", async (request, reply) => {
    const pod = fleet.find(request.params.id);
    const end = () => pod && !isEnded(pod) && fleet.end(pod, "deleted");
    if (await isFaulted(state, "delete", reply, () => void end())) {
      return reply;
    }
    if (!pod || isEnded(pod)) {
      return podNotFound(reply);
    }
    fleet.end(pod, "deleted");
    return reply.code(204).send();
  });

  app.post<WithId>("/pods/:id/action", async (request, reply) => {
    const pod = fleet.find(request.params.id);
    if (!pod) {
      return podNotFound(reply);
    }
    const parsed = actionSchema.safeParse(request.body);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "body");
    }
    const { action } = parsed.data;
    if (!allowedActions(pod).includes(action)) {
      return sendProblem(reply, 409, `cannot ${action} a pod that is ${pod.status}`);
    }
    if (await isFaulted(state, "action", reply, () => fleet.act(pod, action))) {
      return reply;
    }
    fleet.act(pod, action);
    return action === "terminate" ? reply.code(204).send() : podBody(pod, now());
  });
}

export function podNotFound(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 404, "pod not found");
}

function isEnded(pod: SimulatedPod): boolean {
  return pod.endedAtMs !== null;
}
