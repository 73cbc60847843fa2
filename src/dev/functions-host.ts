import { createClient } from "@supabase/supabase-js";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { WebSocket } from "undici";
import type { FunctionContext, FunctionHandler } from "../../supabase/functions/_shared/function-context.ts";
import type { Keys } from "./gateway-auth.ts";

export interface FunctionsOptions {
  /** Handlers by their name with hyphens. */
  functions: Record<string, FunctionHandler>;
  /** Asked at each call, since the gateway's own address is known only once it listens. */
  context: () => FunctionContext;
  logger: Logger;
}

const BODY_LIMIT_BYTES = 10 * 1024 * 1024;

/** What a hosted function has at hand: clients of its own project, and the bucket for videos. */
export function createFunctionContext(supabaseUrl: string, keys: Keys, videoBucket: string): FunctionContext {
  const client = (key: string, headers: Record<string, string>) =>
    createClient(supabaseUrl, key, {
      global: { headers },
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
      // Node 20 has no WebSocket of its own, and the client refuses to start without one.
      realtime: { transport: WebSocket as never },
    });
  return {
    videoBucket,
    asCaller: (headers) => client(keys.anonKey, headers),
    asService: () => client(keys.serviceRoleKey, {}),
  };
}

function toWebRequest(request: FastifyRequest): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const item of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, item);
  }
  const hasBody = request.method !== "GET" && request.method !== "HEAD" && request.body !== undefined;
  return new Request(new URL(request.url, `http://${request.headers.host ?? "127.0.0.1"}`), {
    method: request.method,
    headers,
    ...(hasBody && { body: request.body as Buffer<ArrayBuffer> }),
  });
}

/**
 * Serves plain web handlers at `/functions/v1/{name}`, under `like-this` and `like_this`. A caller must show an
 * `Authorization` or an `apikey` header; what they are worth is for the handler to judge. A handler that throws is
 * a 500 whose reason stands in the log only.
 */
export function registerFunctions(app: FastifyInstance, options: FunctionsOptions): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: BODY_LIMIT_BYTES }, (_request, body, done) =>
    done(null, body),
  );
  app.all("/functions/v1/:name", async (request, reply) => {
    if (request.headers.authorization === undefined && request.headers["apikey"] === undefined) {
      return reply.code(401).send({ error: "unauthorized", message: "Missing authorization header" });
    }
    const { name } = request.params as { name: string };
    const hyphened = name.replaceAll("_", "-");
    const handler = Object.hasOwn(options.functions, hyphened) ? options.functions[hyphened] : undefined;
    if (handler === undefined) {
      return reply.code(404).send({ error: "not_found", message: `There is no function named ${name}` });
    }
    try {
      return await reply.send(await handler(toWebRequest(request), options.context()));
    } catch (error) {
      options.logger.error({ err: error, function: hyphened }, "function failed");
      const message = `The function ${hyphened} failed; its log has the reason`;
      return reply.code(500).send({ error: "internal_error", message });
    }
  });
}
