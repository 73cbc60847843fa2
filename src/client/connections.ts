import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import type { Database } from "../supabase/client.ts";
import { ClientError, EXIT } from "./errors.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const DEPLOYMENT_TIMEOUT_MS = 5_000;

export interface Temporal {
  readonly client: Client;
  readonly namespace: string;
  /** The calls to Temporal that `act` makes end after this time. */
  within<T>(timeoutMs: number, act: () => Promise<T>): Promise<T>;
}

/** Opened at their first use, closed at the end of the command. */
export interface Connections {
  /** @throws ConfigError */
  database(): Promise<Database>;
  /** @throws ClientError when no server answers */
  temporal(): Promise<Temporal>;
  /** The id of the database's deployment. Null: the environment names no database, or it does not answer in time. */
  deployment(): Promise<string | null>;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The SDKs load slowly, so that too happens with the first use. */
export function openConnections(env: Environment): Connections {
  let database: Promise<Database> | undefined;
  let temporal: Promise<Temporal> | undefined;
  let deployment: Promise<string | null> | undefined;
  const openDatabase = () => (database ??= connectToDatabase(env));
  return {
    database: openDatabase,
    deployment: () => (deployment ??= readDeployment(openDatabase)),
    temporal: () => (temporal ??= connectToTemporal(env)),
    async close() {
      const open = await temporal?.catch(() => undefined);
      await open?.client.connection.close();
    },
  };
}

async function connectToDatabase(env: Environment): Promise<Database> {
  const { loadConfig } = await import("../config/config.ts");
  const { url, serviceRoleKey } = loadConfig(env, { need: ["supabase"] }).supabase;
  const { connectDatabase } = await import("../supabase/client.ts");
  return connectDatabase({ url, serviceRoleKey });
}

/** An order must not wait long for a database that is away: the Temporal worker compares again before it acts. */
async function readDeployment(open: () => Promise<Database>): Promise<string | null> {
  try {
    const { readDeploymentId } = await import("../supabase/deployment-store.ts");
    const read = readDeploymentId(await open()).catch(() => null);
    return await Promise.race([read, sleep(DEPLOYMENT_TIMEOUT_MS, null, { ref: false })]);
  } catch {
    return null;
  }
}

async function connectToTemporal(env: Environment): Promise<Temporal> {
  const { connectionOptions, namespace = "default" } = await readTemporalSettings(env);
  const { Client, Connection } = await import("@temporalio/client");
  const address = connectionOptions.address ?? "127.0.0.1:7233";
  const connection = await Connection.connect({ ...connectionOptions, connectTimeout: CONNECT_TIMEOUT_MS }).catch(
    (error: unknown) => {
      const advice = "Check TEMPORAL_ADDRESS and that the server runs (gpu-pool dev starts one here).";
      throw new ClientError(EXIT.unreachable, `no answer from Temporal at ${address}`, advice, { cause: error });
    },
  );
  return {
    client: new Client({ connection, namespace }),
    namespace,
    within: (timeoutMs, act) => connection.withDeadline(Date.now() + timeoutMs, act),
  };
}

/** By the variables and the configuration file of Temporal's own tools. @throws ClientError when these cannot be read */
async function readTemporalSettings(env: Environment) {
  const { loadClientConnectConfig } = await import("@temporalio/envconfig");
  const set = Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1]));
  try {
    return loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(set) });
  } catch (error) {
    const advice =
      "Check --profile (TEMPORAL_PROFILE), the file that it is in (TEMPORAL_CONFIG_FILE) and the files of TEMPORAL_TLS_….";
    throw new ClientError(EXIT.usage, `how to reach Temporal cannot be read: ${(error as Error).message}`, advice, {
      cause: error,
    });
  }
}
