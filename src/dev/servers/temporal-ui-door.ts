import { randomInt } from "node:crypto";
import httpProxy from "@fastify/http-proxy";
import Fastify from "fastify";
import { foreignRequest } from "../../process/foreign-request.ts";

/** Linux answers at all of 127.0.0.0/8. A page that scans ports does not find a server at an address that it must guess too. */
export function hiddenLoopback(): string {
  const part = () => String(randomInt(1, 255));
  return process.platform === "linux" ? `127.${part()}.${part()}.${part()}` : "127.0.0.1";
}

/**
 * Serves Temporal's Web UI at 127.0.0.1:`port`. The UI itself answers any name, so that a page of elsewhere could start
 * workflows through it; this door refuses requests of such pages.
 * @param upstream the UI's own URL
 * @returns closes the door
 */
export async function openTemporalUiDoor(port: number, upstream: string): Promise<() => Promise<void>> {
  const app = Fastify({ forceCloseConnections: true, exposeHeadRoutes: false });
  app.addHook("onRequest", async (request, reply) => {
    const problem = foreignRequest(request.headers);
    if (problem !== null) {
      return reply.code(403).send({ message: problem });
    }
    reply.headers({ "x-frame-options": "DENY", "x-content-type-options": "nosniff" });
  });
  await app.register(httpProxy, {
    upstream,
    disableRequestLogging: true,
    destroyAgent: true,
    undici: {},
    replyOptions: {
      retryDelay: () => null,
      onError: (reply) =>
        void reply.code(503).send({ message: "Temporal's Web UI does not answer; it may be starting" }),
    },
  });
  await app.listen({ host: "127.0.0.1", port });
  return async () => await app.close();
}
