import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { SimulatedPod } from "./pod.ts";
import { followLines, podLogPath } from "./pod-log.ts";
import { podNotFound } from "./pod-routes.ts";
import { sendInvalid } from "./problems.ts";
import type { SimulatorState } from "./state.ts";

const POLL_MS = 250;

const querySchema = z.object({
  source: z.enum(["container", "system"]).default("container"),
  tail: z.coerce.number().int().min(0).max(5000).default(100),
});

/** `GET /v2/pods/{id}/logs`: one server-sent event per line; the stream ends when the pod's container has ended. */
export function registerLogRoute(app: FastifyInstance, { fleet, dataDir, closing }: SimulatorState): void {
  app.get<{ Params: { id: string } }>("/pods/:id/logs", async (request, reply) => {
    const pod = fleet.find(request.params.id);
    if (!pod) {
      return podNotFound(reply);
    }
    const parsed = querySchema.safeParse(request.query);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "query");
    }
    const { source, tail } = parsed.data;
    const newLines = source === "container" ? followLines(podLogPath(dataDir, pod.id)) : followArray(pod.systemLog);
    const seen = Number(request.headers["last-event-id"] ?? Number.NaN);
    const gone = new AbortController();
    reply.hijack();
    reply.raw.on("close", () => gone.abort());
    reply.raw.writeHead(200, { "content-type": "text/event-stream", "x-request-id": request.id });
    reply.raw.flushHeaders();
    const stop = AbortSignal.any([gone.signal, closing]);
    let lineNumber = 0;
    for (let first = true; !stop.aborted; first = false) {
      const finished = hasEnded(pod);
      const lines = await newLines();
      const skipped = first && Number.isNaN(seen) ? Math.max(0, lines.length - tail) : 0;
      for (const [index, line] of lines.entries()) {
        lineNumber++;
        if (index >= skipped && !(lineNumber <= seen)) {
          reply.raw.write(`id: ${lineNumber}\ndata: ${line}\n\n`);
        }
      }
      if (finished) {
        break;
      }
      await delay(POLL_MS, undefined, { signal: stop }).catch(() => undefined);
    }
    reply.raw.end();
    return reply;
  });
}

function hasEnded(pod: SimulatedPod): boolean {
  return pod.process === null && ["EXITED", "ERROR", "TERMINATED"].includes(pod.status);
}

function followArray(lines: readonly string[]): () => Promise<string[]> {
  let shown = 0;
  return async () => {
    const fresh = lines.slice(shown);
    shown = lines.length;
    return fresh;
  };
}
