import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../supabase/client.ts";
import type { Temporal } from "./temporal-connection.ts";

const DEPLOYMENT_TIMEOUT_MS = 5_000;

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
    temporal: () => (temporal ??= openTemporal(env)),
    async close() {
      const open = await temporal?.catch(() => undefined);
      await open?.client.connection.close();
    },
  };
}

async function connectToDatabase(env: Environment): Promise<Database> {
  const { loadConfig } = await import("../config/config.ts");
  const { url, serviceRoleKey } = loadConfig(env, { need: ["database"] }).supabase;
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

async function openTemporal(env: Environment): Promise<Temporal> {
  const { connectToTemporal } = await import("./temporal-connection.ts");
  return await connectToTemporal(env);
}
