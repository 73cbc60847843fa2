import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { answerFault, type Fault } from "./faults.ts";
import type { SimulatedPod } from "./pod.ts";
import type { PodLogLine } from "./pod-log.ts";
import { podNotFound } from "./pod-routes.ts";
import { sendInvalid } from "./problems.ts";
import type { SimulatorState } from "./state.ts";

const querySchema = z.object({
  source: z.enum(["container", "system"]).optional(),
  tail: z.coerce.number().int().min(0).max(5000).default(100),
  since: z.iso.datetime({ offset: true }).optional(),
});

type Query = z.infer<typeof querySchema>;

/** `GET /v2/pods/{id}/logs`: one server-sent event per line; the stream ends when the pod's container has ended. */
export function registerLogRoute(app: FastifyInstance, { fleet, faults, closing }: SimulatorState): void {
  app.get<{ Params: { id: string } }>("/pods/:id/logs", async (request, reply) => {
    const fault = faults.take("logs");
    if (await answerFault(fault, reply, closing)) {
      return reply;
    }
    const pod = fleet.find(request.params.id);
    if (!pod) {
      return podNotFound(reply);
    }
    const parsed = querySchema.safeParse(request.query);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "query");
    }
    const lastEventId = request.headers["last-event-id"];
    const gone = new AbortController();
    reply.hijack();
    reply.raw.on("close", () => gone.abort());
    reply.raw.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
      "x-request-id": request.id,
    });
    reply.raw.flushHeaders();
    const from = firstLine(pod, parsed.data, typeof lastEventId === "string" ? lastEventId : undefined);
    const stop = AbortSignal.any([gone.signal, closing]);
    await sendLines(reply.raw, { pod, source: parsed.data.source, from, fault, stop });
    return reply;
  });
}

interface Sending {
  readonly pod: SimulatedPod;
  readonly source: Query["source"];
  /** Ids from this one on are sent. */
  readonly from: string;
  readonly fault: Fault | undefined;
  readonly stop: AbortSignal;
}

async function sendLines(raw: ServerResponse, { pod, source, from, fault, stop }: Sending): Promise<void> {
  if (fault?.kind === "odd-events") {
    raw.write(fault.text);
  }
  const stopped = once(stop, "abort");
  let next = from;
  let sent = 0;
  while (!stop.aborted) {
    const changed = pod.log.changed();
    const finished = hasEnded(pod);
    if (finished) {
      await pod.ending;
    }
    for (const line of pod.log.lines().filter((one) => one.id >= next && isOf(source, one))) {
      if (fault?.kind === "drop" && sent === fault.afterEvents) {
        await delay(fault.afterMs);
        raw.socket?.resetAndDestroy();
        return;
      }
      raw.write(`id: ${line.id}\ndata: ${JSON.stringify({ ts: line.ts, source: line.source, line: line.line })}\n\n`);
      sent++;
      next = after(line.id);
    }
    if (finished) {
      break;
    }
    await Promise.race([changed, stopped]);
  }
  raw.end();
}

/** The first id to be sent. The place that a client names to resume counts before `since`, and this before `tail`. */
function firstLine(pod: SimulatedPod, { source, tail, since }: Query, lastEventId: string | undefined): string {
  if (lastEventId !== undefined) {
    return after(lastEventId);
  }
  if (since !== undefined) {
    return new Date(since).toISOString();
  }
  const lines = pod.log.lines();
  const first = tail === 0 ? undefined : lines.filter((line) => isOf(source, line)).at(-tail);
  return first?.id ?? (tail === 0 ? after(lines.at(-1)?.id ?? "") : "");
}

/** The least text that sorts behind this id. */
function after(id: string): string {
  return `${id}\u0000`;
}

function isOf(source: Query["source"], line: PodLogLine): boolean {
  return source === undefined || line.source === source;
}

function hasEnded(pod: SimulatedPod): boolean {
  return pod.process === null && ["EXITED", "ERROR", "TERMINATED"].includes(pod.status);
}
