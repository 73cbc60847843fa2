import type { FastifyInstance } from "fastify";
import { sendProblem } from "./problems.ts";
import type { SimulatorState } from "./state.ts";

const OWN_POD_ROUTE = "/v2/pods/:id";
const OWN_POD_METHODS: ReadonlySet<string> = new Set(["GET", "DELETE"]);

/** Checks User-Agent and key of each request to the API, and sends its errors in the provider's form. */
export function registerGatekeeper(app: FastifyInstance, { apiKey, fleet }: SimulatorState): void {
  app.addHook("onRequest", async (request, reply) => {
    if (!request.headers["user-agent"]) {
      return reply.code(403).type("text/html").send("<html><title>Access denied</title>error code: 1010</html>");
    }
    const key = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (key === apiKey) {
      return;
    }
    const owner = key && fleet.all().find((pod) => pod.apiKey === key);
    if (!owner) {
      return sendProblem(reply, 401, "missing or invalid API key");
    }
    const { id } = request.params as { id?: string };
    const mayDo = OWN_POD_METHODS.has(request.method) && request.routeOptions.url === OWN_POD_ROUTE;
    if (id !== owner.id || !mayDo) {
      return sendProblem(reply, 403, "this key is good for reading and deleting its own pod only");
    }
  });
  app.setNotFoundHandler((request, reply) => sendProblem(reply, 404, `no route ${request.method} ${request.url}`));
  app.setErrorHandler((error: { statusCode?: number; message: string }, _request, reply) =>
    sendProblem(reply, error.statusCode ?? 500, error.message),
  );
}
