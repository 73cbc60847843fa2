import type { AddressInfo } from "node:net";
import httpProxy from "@fastify/http-proxy";
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { Pool } from "pg";
import type { Logger } from "pino";
import { FUNCTIONS } from "../../../supabase/functions/_shared/functions.ts";
import { createFunctionContext, registerFunctions, registerTasksApi } from "./functions-host.ts";
import { createGatewayAuth, type GatewayAuth, type Keys } from "./auth.ts";
import { argumentNames, valuesOfBody } from "./body-counts.ts";
import { type BodyBounds, boundBodies, refusalOf } from "./bounded-body.ts";
import { shareFairly } from "./fair-share.ts";
import { registerStorage } from "../storage/storage.ts";

export interface GatewayOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0: any free port. */
  readonly port: number;
  /** Under which callers reach it, and which files' URLs therefore begin with. Default: its own address. */
  readonly publicUrl?: string | undefined;
  readonly postgrestUrl: string;
  /** URL of the project's database with the login of `authenticator` or a superuser; storage keeps its rows there. */
  readonly databaseUrl: string;
  readonly storageDir: string;
  readonly keys: Keys;
  /** Made as a public bucket if it is missing. */
  readonly videoBucket: string;
  /** Largest object that storage accepts, in MiB. Default 50, as on hosted Supabase. */
  readonly fileSizeLimitMb?: number;
  /** What one call and one caller may take; default: as in the table of settings. */
  readonly limits?: Partial<GatewayLimits>;
  readonly logger: Logger;
}

export interface GatewayLimits {
  /** Largest body of a call of `/rest/v1`. PostgREST takes fifteen times its size. */
  readonly restBodyBytes: number;
  /** Largest body of a call of `/functions/v1` and `/api`. */
  readonly functionBodyBytes: number;
  /** Time within which a body arrives. */
  readonly bodyTimeoutSec: number;
  /** Calls of `/rest/v1` that one credential has under way. */
  readonly callsAtOnce: number;
}

export interface Gateway {
  readonly url: string;
  close(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";
const UNDEFINED_FUNCTION = "42883";
const DEFAULT_FILE_SIZE_LIMIT_MB = 50;
const BYTES_PER_MB = 1024 * 1024;
const LIMITS: GatewayLimits = {
  restBodyBytes: 20 * BYTES_PER_MB,
  functionBodyBytes: 10 * BYTES_PER_MB,
  bodyTimeoutSec: 30,
  callsAtOnce: 8,
};
/** For uploads, which a slow line sends. */
const REQUEST_TIMEOUT_MS = 600_000;
const DATABASE_CONNECTIONS = 5;
const MAX_PARAM_CHARS = 4096;
const PREFLIGHT_CACHE_SEC = "3600";
const EXPOSED_HEADERS =
  "Content-Encoding, Content-Length, Content-Location, Content-Range, Content-Type, Date, ETag, Location, Range-Unit";

/** Answers are data: a browser that opens one runs and loads nothing. Files and the API's page say what they need beyond that. */
const INERT = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
  "x-content-type-options": "nosniff",
};

function allowAllOrigins(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(INERT);
    reply.header("access-control-allow-origin", "*").header("access-control-expose-headers", EXPOSED_HEADERS);
    if (request.method !== "OPTIONS") {
      return;
    }
    // `*` would not allow Authorization, so the requested headers are allowed by name.
    return reply
      .code(204)
      .header("access-control-allow-methods", "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS")
      .header("access-control-allow-headers", request.headers["access-control-request-headers"] ?? "*")
      .header("access-control-max-age", PREFLIGHT_CACHE_SEC)
      .send();
  });
}

function nameRoutes(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) => {
    const route = `${request.method} ${request.url.split("?")[0]}`;
    const message = `No route ${route}; the gateway serves /rest/v1, /storage/v1, /functions/v1 and /api`;
    return reply.code(404).send({ error: "not_found", message });
  });
}

interface RestParts {
  readonly upstream: string;
  readonly auth: GatewayAuth;
  readonly keys: Keys;
  readonly callsAtOnce: number;
  readonly logger: Logger;
}

async function registerRest(
  app: FastifyInstance,
  { upstream, auth, keys, callsAtOnce, logger }: RestParts,
): Promise<void> {
  app.addHook("onRequest", async (request, reply) => {
    const problem = auth.keyProblem(request);
    if (problem !== null) {
      return reply.code(401).send(problem);
    }
  });
  shareFairly(app, auth, keys, callsAtOnce);
  await app.register(httpProxy, {
    upstream,
    prefix: "/rest/v1",
    disableRequestLogging: true,
    destroyAgent: true,
    undici: {},
    replyOptions: {
      rewriteRequestHeaders: (request, headers) => ({ ...headers, authorization: auth.authorization(request) }),
      // PostgREST would read `apikey=` in the query as a filter on a column of that name.
      queryString: (_search, url) => {
        const parts = (url.split("?")[1] ?? "").split("&");
        return parts.filter((part) => !part.startsWith("apikey=")).join("&");
      },
      // Hidden retries would delay PostgREST's 503, which clients get at once on hosted Supabase.
      retryDelay: () => null,
      onError: (reply, { error }) => {
        const refusal = refusalOf(reply.request as FastifyRequest);
        if (refusal !== undefined) {
          reply.code(refusal.statusCode).send({ code: String(refusal.statusCode), message: refusal.message });
          return;
        }
        logger.warn({ err: error }, "PostgREST did not answer");
        reply.code(503).send({
          code: "503",
          message: "The database API (PostgREST) behind this gateway does not answer",
          details: null,
          hint: "It may be starting or restarting. Try again; if that does not help, see the stack's log.",
        });
      },
    },
  });
}

/** A scope whose bodies are bounded. */
function register(
  app: FastifyInstance,
  bounds: BodyBounds,
  add: (scope: FastifyInstance) => void | Promise<void>,
): void {
  app.register(async (scope) => {
    boundBodies(scope, bounds);
    await add(scope);
  });
}

function registerOwnRoutes(app: FastifyInstance): void {
  // People open the address that `gpu-pool dev` prints.
  app.get("/", async () => ({ serves: ["/rest/v1", "/storage/v1", "/functions/v1", "/api"], docs: "/api/docs" }));
  app.get("/healthz", async () => ({ status: "ok" }));
}

/** A server that listens on all addresses is reached at its own loopback address. */
function urlOf({ address, family, port }: AddressInfo): string {
  const own = ["0.0.0.0", "::"].includes(address) ? LOOPBACK : address;
  return `http://${family === "IPv6" && own !== LOOPBACK ? `[${own}]` : own}:${port}`;
}

/** Tells the database how the addresses of results begin. One that is not migrated yet is told by the Temporal worker. */
async function noteFilesUrl(pool: Pool, url: string): Promise<void> {
  try {
    await pool.query("select public.note_files_url($1)", [url]);
  } catch (error) {
    if ((error as { code?: string }).code !== UNDEFINED_FUNCTION) {
      throw error;
    }
  }
}

/**
 * Starts one HTTP server that serves supabase-js as a hosted project does, at `/rest/v1`, `/storage/v1` and
 * `/functions/v1`; `/api` for other programs and people; and `/healthz`. `close` cuts requests that are under way.
 * @throws when the port is taken or the storage tables are missing.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { keys, logger, videoBucket, host = LOOPBACK } = options;
  const auth = createGatewayAuth(keys);
  // The role of the service key is all that storage needs, whoever logs in.
  const session = { connectionString: options.databaseUrl, options: "-c role=service_role" };
  const pool = new Pool({ ...session, max: DATABASE_CONNECTIONS });
  // Without a listener, this process would crash when Postgres closes an idle connection.
  pool.on("error", (error) => logger.warn({ err: error }, "storage lost an idle database connection"));
  const app = Fastify({
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
  });
  const close = async (): Promise<void> => {
    await app.close();
    await pool.end();
  };

  try {
    allowAllOrigins(app);
    nameRoutes(app);
    const limits = { ...LIMITS, ...options.limits };
    const ms = limits.bodyTimeoutSec * 1000;
    const { callsAtOnce, restBodyBytes: bytes } = limits;
    register(app, { bytes, ms, inspect: argumentNames }, (scope) =>
      registerRest(scope, { upstream: options.postgrestUrl, auth, keys, callsAtOnce, logger }),
    );
    app.register(
      async (scope) =>
        registerStorage(scope, {
          auth,
          pool,
          directory: options.storageDir,
          fileSizeLimitBytes: (options.fileSizeLimitMb ?? DEFAULT_FILE_SIZE_LIMIT_MB) * BYTES_PER_MB,
          publicBucket: videoBucket,
          logger,
        }),
      { prefix: "/storage/v1" },
    );
    let url = "";
    const functions = {
      functions: FUNCTIONS,
      bodyBytes: limits.functionBodyBytes,
      context: () => createFunctionContext({ url, publicUrl: options.publicUrl ?? url }, keys, videoBucket),
      logger,
    };
    const bounds = { bytes: limits.functionBodyBytes, ms, inspect: valuesOfBody };
    register(app, bounds, (scope) => registerFunctions(scope, functions));
    register(app, bounds, (scope) => registerTasksApi(scope, functions));
    registerOwnRoutes(app);
    await app.listen({ host, port: options.port });
    url = urlOf(app.server.address() as AddressInfo);
    await noteFilesUrl(pool, options.publicUrl ?? url);
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
