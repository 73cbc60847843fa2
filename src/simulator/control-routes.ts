import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { faultSchema } from "./faults.ts";
import { ruleSchema } from "./market/market.ts";
import { sendInvalid, sendProblem } from "./problems.ts";
import { settingsSchema } from "./settings.ts";
import type { SimulatorControls } from "./controls.ts";

const claimSchema = z.strictObject({ taskSec: z.number().min(0).max(86_400).default(0) });

interface WithId {
  readonly Params: { id: string };
}

/** `/_sim`: observes and controls the simulator itself; needs no key. */
export function registerControlRoutes(app: FastifyInstance, controls: SimulatorControls): void {
  app.get("/ledger", async () => controls.ledger());
  app.get("/requests", async () => controls.requests());
  app.get("/settings", async () => controls.settings());

  app.put("/settings", async (request, reply) => {
    const parsed = settingsSchema.partial().safeParse(request.body);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "body");
    }
    return controls.configure(parsed.data);
  });

  app.post("/faults", async (request, reply) => {
    const parsed = faultSchema.safeParse(request.body);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "body");
    }
    controls.addFault(parsed.data);
    return reply.code(201).send(parsed.data);
  });

  app.delete("/faults", async (_request, reply) => {
    controls.clearFaults();
    return reply.code(204).send();
  });

  app.get("/market", async () => controls.market());
  app.post("/market", async (request, reply) => {
    const parsed = z.array(ruleSchema).safeParse(request.body);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "body");
    }
    controls.changeMarket(...parsed.data);
    return reply.code(204).send();
  });
  app.delete("/market", async (_request, reply) => {
    controls.resetMarket();
    return reply.code(204).send();
  });
  app.get("/volumes", async () => controls.volumes());

  registerPodControls(app, controls);
}

function registerPodControls(app: FastifyInstance, controls: SimulatorControls): void {
  const claim = async (body: unknown, reply: FastifyReply, podId?: string) => {
    const parsed = claimSchema.safeParse(body ?? {});
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "body");
    }
    const tasks = await controls.claimTasks(parsed.data.taskSec, podId);
    if (podId !== undefined && !(podId in tasks)) {
      return sendProblem(reply, 404, "no light pod with this id runs");
    }
    return tasks;
  };
  app.post("/claim", async (request, reply) => claim(request.body, reply));
  app.post<WithId>("/pods/:id/claim", async (request, reply) => claim(request.body, reply, request.params.id));

  app.post<WithId>("/pods/:id/kill", async (request, reply) =>
    done(reply, controls.killPod(request.params.id), "no pod with this id has a running process"),
  );
  app.post<WithId>("/pods/:id/vanish", async (request, reply) =>
    done(reply, controls.vanishPod(request.params.id), "no living pod has this id"),
  );
}

function done(reply: FastifyReply, effective: boolean, otherwise: string): FastifyReply {
  return effective ? reply.code(204).send() : sendProblem(reply, 404, otherwise);
}
