import type { FastifyInstance, FastifyRequest } from "fastify";
import type { RequestLogEntry } from "./types.ts";

const MAX_ENTRIES = 10_000;

/** Records every request of this scope. It keeps only the `name` of a body, because environments hold secrets. */
export function recordRequests(app: FastifyInstance, log: RequestLogEntry[], now: () => number): void {
  const entries = new WeakMap<FastifyRequest, RequestLogEntry>();
  app.addHook("onRequest", async (request) => {
    const entry = { timeMs: now(), method: request.method, path: request.url, status: null, name: null };
    entries.set(request, entry);
    log.push(entry);
    if (log.length > MAX_ENTRIES) {
      log.shift();
    }
  });
  app.addHook("preHandler", async (request) => {
    const entry = entries.get(request);
    const name = (request.body as { name?: unknown } | null | undefined)?.name;
    if (entry && typeof name === "string") {
      entry.name = name;
    }
  });
  app.addHook("onSend", async (request, reply) => {
    const entry = entries.get(request);
    if (entry) {
      entry.status = reply.statusCode;
    }
  });
}
