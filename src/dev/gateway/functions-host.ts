import { createClient } from "@supabase/supabase-js";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { WebSocket } from "undici";
import {
  type FunctionContext,
  type FunctionHandler,
  restRequest,
} from "../../../supabase/functions/_shared/function-context.ts";
import { openApiDocument } from "../../../supabase/functions/_shared/openapi.ts";
import { tasks } from "../../../supabase/functions/_shared/tasks.ts";
import { apiPage } from "./api-page.ts";
import type { Keys } from "./auth.ts";

export interface FunctionsOptions {
  /** Handlers by their name with hyphens. */
  readonly functions: Readonly<Record<string, FunctionHandler>>;
  /** Called for each request, because the gateway's own address is known only once it listens. */
  readonly context: () => FunctionContext;
  /** Largest body. */
  readonly bodyBytes: number;
  readonly logger: Logger;
}

/**
 * Gives a function what hosted Supabase gives it: clients of its project, and the bucket for videos. The URLs of files
 * begin with `publicUrl`; requests go to `url`, because the machine itself may not reach its public address.
 */
export function createFunctionContext(
  { url, publicUrl }: { readonly url: string; readonly publicUrl: string },
  keys: Keys,
  videoBucket: string,
): FunctionContext {
  const publicPath = new URL(publicUrl).pathname.replace(/\/$/, "");
  const client = (key: string, headers: Record<string, string>) =>
    createClient(publicUrl, key, {
      global: {
        headers,
        fetch: (input, init) => {
          const { pathname, search } = new URL(input instanceof Request ? input.url : input);
          return fetch(`${url}${pathname.slice(publicPath.length)}${search}`, init);
        },
      },
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
      // Node 20 has no WebSocket, and the client refuses to start without one.
      realtime: { transport: WebSocket as never },
    });
  return {
    videoBucket,
    asCaller: (headers) => client(keys.publishableKey, headers),
    asService: () => client(keys.secretKey, {}),
    rest: (method, path, headers, body) => restRequest(url, keys.publishableKey, method, path, headers, body),
  };
}

function toWebRequest(request: FastifyRequest): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const item of Array.isArray(value) ? value : [value ?? ""]) {
      headers.append(name, item);
    }
  }
  const hasBody = request.method !== "GET" && request.method !== "HEAD" && request.body !== undefined;
  // Host is not believed: it may be no name at all. A path that begins with two slashes would be another host.
  return new Request(`http://127.0.0.1${request.url}`, {
    method: request.method,
    headers,
    ...(hasBody && { body: request.body as Buffer<ArrayBuffer> }),
  });
}

function takeBodiesAsBytes(app: FastifyInstance, bodyLimit: number): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer", bodyLimit }, (_request, body, done) => done(null, body));
}

async function run(
  name: string,
  handler: FunctionHandler,
  options: FunctionsOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  let asked: Request;
  try {
    asked = toWebRequest(request);
  } catch (error) {
    // TRACE and some texts in headers are valid for Node, and not for fetch.
    const message = `The request cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return reply.code(400).send({ error: "bad_request", message });
  }
  try {
    return await reply.send(await handler(asked, options.context()));
  } catch (error) {
    options.logger.error({ err: error, function: name }, "function failed");
    return reply
      .code(500)
      .send({ error: "internal_error", message: `The function ${name} failed; the gateway's log has the reason` });
  }
}

/**
 * Serves handlers at `/functions/v1/{name}` and below it; names may have hyphens or underscores. As on a hosted project
 * with `verify_jwt = false` every request reaches its handler, which knows the caller. When a handler throws, the answer is
 * 500 and only the log has the reason.
 */
export function registerFunctions(app: FastifyInstance, options: FunctionsOptions): void {
  takeBodiesAsBytes(app, options.bodyBytes);
  const serve = async (request: FastifyRequest, reply: FastifyReply) => {
    const { name } = request.params as { name: string };
    const hyphened = name.replaceAll("_", "-");
    const handler = Object.hasOwn(options.functions, hyphened) ? options.functions[hyphened] : undefined;
    if (handler === undefined) {
      return reply.code(404).send({ error: "not_found", message: `There is no function named ${name}` });
    }
    return run(hyphened, handler, options, request, reply);
  };
  app.all("/functions/v1/:name", serve);
  app.all("/functions/v1/:name/*", serve);
}

/** Serves the tasks function at `/api/tasks` too, and its OpenAPI document at `/api/openapi.json` and `/api/docs` (HTML). */
export function registerTasksApi(app: FastifyInstance, options: FunctionsOptions): void {
  takeBodiesAsBytes(app, options.bodyBytes);
  const serve = (request: FastifyRequest, reply: FastifyReply) => run("tasks", tasks, options, request, reply);
  app.all("/api/tasks", serve);
  app.all("/api/tasks/*", serve);
  app.get("/api/openapi.json", async () => openApiDocument("/api"));
  app.get("/api/docs", async (_request, reply) =>
    reply
      .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
      .type("text/html; charset=utf-8")
      .send(apiPage(openApiDocument("/api"))),
  );
}
