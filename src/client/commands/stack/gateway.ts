import { type Config, ConfigError, type ConfigProblem, loadConfig } from "../../../config/config.ts";
import { table } from "../../../config/variables.ts";
import { startGateway } from "../../../dev/gateway/gateway.ts";
import { createGatewayAuth, makeKeys } from "../../../dev/gateway/auth.ts";
import { createLogger } from "../../../logger.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";

/** Serves the API of a project of one's own until Ctrl-C or SIGTERM. @throws ClientError, ConfigError */
export async function runGateway({ env }: Context): Promise<void> {
  const config = loadConfig(env, { need: ["supabase"] });
  const { dbUrl, storageDir, jwtSecret } = requireSettings(config);
  const { url, publicUrl, anonKey, serviceRoleKey, videoBucket } = config.supabase;
  const keys = await makeKeys({ jwtSecret, anonKey, serviceRoleKey });
  const logger = createLogger({ level: config.log.level, name: "gpu-pool-gateway" });
  await requireOwnKeys(createGatewayAuth(keys), { anonKey, serviceRoleKey });
  const stopped = new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve()).once("SIGTERM", () => resolve());
  });
  const { host, port, postgrestUrl, restBodyBytes, functionBodyBytes, bodyTimeoutSec, callsAtOnce } = config.gateway;
  const gateway = await startGateway({
    host,
    port,
    publicUrl: publicUrl ?? url,
    postgrestUrl,
    databaseUrl: dbUrl,
    storageDir,
    keys,
    videoBucket,
    limits: { restBodyBytes, functionBodyBytes, bodyTimeoutSec, callsAtOnce },
    logger,
  }).catch((error: unknown) => {
    throw explained(error, config);
  });
  logger.info({ host, port, url: gateway.url, publicUrl: publicUrl ?? url, postgrestUrl }, "serving");
  await stopped;
  await gateway.close();
  logger.info("stopped");
}

function requireSettings({ gateway }: Pick<Config, "gateway">) {
  const { dbUrl, storageDir, jwtSecret } = gateway;
  if (dbUrl !== undefined && storageDir !== undefined && jwtSecret !== undefined) {
    return { dbUrl, storageDir, jwtSecret };
  }
  const entries = [
    [table.gateway.dbUrl, dbUrl],
    [table.gateway.storageDir, storageDir],
    [table.gateway.jwtSecret, jwtSecret],
  ] as const;
  const problems = entries
    .filter(([, value]) => value === undefined)
    .map(([{ name, kind, description }]) => ({
      variable: name,
      message: `${name} is not set; expected ${kind.allowed}. ${description}`,
    }));
  throw new ConfigError("The environment", problems, "gpu-pool gateway secrets makes the secrets of a project.");
}

type Auth = ReturnType<typeof createGatewayAuth>;

/** A key of another secret would be refused by PostgREST at each request, which nobody would understand. */
async function requireOwnKeys(auth: Auth, keys: { anonKey: string; serviceRoleKey: string }): Promise<void> {
  const check = async (variable: string, key: string, wantsService: boolean): Promise<ConfigProblem[]> => {
    const isService = await auth.isServiceRole({ headers: { apikey: key }, query: {} }).catch(() => null);
    const role = wantsService ? "service_role" : "anon";
    const message = `${variable} is no key of role ${role} that SUPABASE_JWT_SECRET signed and that is still valid`;
    return isService === wantsService ? [] : [{ variable, message }];
  };
  const problems = [
    ...(await check("SUPABASE_ANON_KEY", keys.anonKey, false)),
    ...(await check("SUPABASE_SERVICE_ROLE_KEY", keys.serviceRoleKey, true)),
  ];
  if (problems.length > 0) {
    throw new ConfigError("The environment", problems, "gpu-pool gateway secrets makes the three together.");
  }
}

function explained(error: unknown, { gateway }: Pick<Config, "gateway">): unknown {
  const { code = "", message, hostname } = error as Error & { code?: string; hostname?: string };
  if (code === "EADDRNOTAVAIL" || (hostname === gateway.host && code !== "")) {
    const advice = "Set GATEWAY_HOST to an address of this machine.";
    return new ClientError(EXIT.failed, `nothing can listen on GATEWAY_HOST=${gateway.host} (${code})`, advice, {
      cause: error,
    });
  }
  if (code === "EADDRINUSE" || code === "EACCES") {
    const advice = "Free it, or set GATEWAY_PORT to another.";
    return new ClientError(EXIT.failed, `port ${gateway.port} of ${gateway.host} cannot be used (${code})`, advice, {
      cause: error,
    });
  }
  if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN") {
    const advice = "Check GATEWAY_DB_URL and that the server runs.";
    return new ClientError(EXIT.unreachable, `no answer from the gateway's database: ${message}`, advice, {
      cause: error,
    });
  }
  if (code === "42P01" || code === "3F000" || code.startsWith("28") || code === "22023") {
    const advice = "gpu-pool db bootstrap prepares the database and sets the password of the role authenticator.";
    return new ClientError(EXIT.failed, `the gateway cannot use its database: ${message}`, advice, { cause: error });
  }
  return error;
}
