import { createServer, type RequestListener, type Server } from "node:http";
import { ConfigError } from "../../config/config.ts";
import { foreignRequest } from "../../process/foreign-request.ts";

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Paths and what answers them. */
export type Routes = Readonly<Record<string, () => Answer | Promise<Answer>>>;

export interface HttpServer {
  close(): Promise<void>;
}

const LOOPBACK = /^(localhost|127\..+|::1)$/;

/** Errors of `listen` that another setting or the end of another program mends. */
const OF_THE_PORT: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there: end it, or set another HEALTH_PORT",
  EACCES: "this user may not listen there: set a HEALTH_PORT above 1023",
};
const OF_THE_HOST: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: "this machine has no such address: set another HEALTH_HOST",
  ENOTFOUND: "no such host name is known: set another HEALTH_HOST",
  EAI_AGAIN: "the host name cannot be looked up: set another HEALTH_HOST",
};

/**
 * Serves GET and HEAD on one port until it is closed.
 * @throws ConfigError when nothing can listen there
 */
export async function serveHttp(host: string, port: number, routes: Routes): Promise<HttpServer> {
  // On other addresses a service's name or a pod's address is in Host, which is not known here.
  const server = createServer(answering(routes, { isLocal: LOOPBACK.test(host) }));
  await listen(server, host, port).catch((error: NodeJS.ErrnoException) => {
    const { code = error.message } = error;
    const ofPort = OF_THE_PORT[code];
    const [variable, value] = ofPort === undefined ? ["HEALTH_HOST", host] : ["HEALTH_PORT", port];
    const advice = ofPort ?? OF_THE_HOST[code] ?? "set another HEALTH_HOST";
    const message = `${variable}=${value}: cannot listen on ${host}, port ${port} (${code}): ${advice}`;
    throw new ConfigError("The environment", [{ variable, message }], null);
  });
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function answering(routes: Routes, { isLocal }: { readonly isLocal: boolean }): RequestListener {
  return (request, response) => {
    const problem = isLocal ? foreignRequest(request.headers) : null;
    const answer =
      problem === null ? respond(routes, request.method, request.url ?? "/") : Promise.resolve(text(403, problem));
    void answer.then(({ status, type, body }) => {
      const safe = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
      response.writeHead(status, { "content-type": type, ...safe });
      response.end(request.method === "HEAD" ? undefined : body);
    });
  };
}

async function respond(routes: Routes, method: string | undefined, url: string): Promise<Answer> {
  const [path = ""] = url.split("?", 1);
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) {
    return text(404, `nothing here; there are ${Object.keys(routes).join(", ")}`);
  }
  if (method !== "GET" && method !== "HEAD") {
    return text(405, "GET and HEAD only");
  }
  try {
    return await route();
  } catch {
    // The error may name what only this process is to know.
    return text(500, "this process could not make the answer");
  }
}

export function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${body}\n` };
}
