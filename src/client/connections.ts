import type { Client } from "@temporalio/client";
import { loadConfig } from "../config/config.ts";
import { type Database, DatabaseError } from "../supabase/client.ts";
import { refusedRequest, type Refusal } from "../supabase/requests.ts";
import { ClientError, EXIT } from "./errors.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const DATABASE_TIMEOUT_MS = 15_000;

export interface Temporal {
  readonly client: Client;
  readonly namespace: string;
  /** Has the calls that `act` makes end after this long. */
  within<T>(timeoutMs: number, act: () => Promise<T>): Promise<T>;
}

/** Opened at their first use, closed at the end of the command. */
export interface Connections {
  /** @throws ConfigError */
  database(): Promise<Database>;
  /** @throws ClientError when no server answers */
  temporal(): Promise<Temporal>;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The SDKs take half a second to load, so that happens with the first use too. */
export function openConnections(env: Environment): Connections {
  let database: Promise<Database> | undefined;
  let temporal: Promise<Temporal> | undefined;
  return {
    database: () => (database ??= connectToDatabase(env)),
    temporal: () => (temporal ??= connectToTemporal(env)),
    async close() {
      const open = await temporal?.catch(() => undefined);
      await open?.client.connection.close();
    },
  };
}

async function connectToDatabase(env: Environment): Promise<Database> {
  const { url, serviceRoleKey } = loadConfig(env, { need: ["supabase"] }).supabase;
  const { connectDatabase } = await import("../supabase/client.ts");
  return connectDatabase({ url, serviceRoleKey });
}

async function connectToTemporal(env: Environment): Promise<Temporal> {
  const { loadClientConnectConfig } = await import("@temporalio/envconfig");
  const { Client, Connection } = await import("@temporalio/client");
  const set = Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const { connectionOptions, namespace = "default" } = loadClientConnectConfig({
    overrideEnvVars: Object.fromEntries(set),
  });
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

interface Answer<T> {
  readonly data: T | null;
  readonly error: Refusal | null;
  readonly status: number;
  readonly count?: number | null;
}

/** The answer of a request to the database. @throws DatabaseError, with status 0 when none comes within 15 s */
export async function answerOf<T>(operation: string, request: PromiseLike<Answer<T>>): Promise<Answer<T>> {
  const answer = await inTime(operation, request);
  if (answer.error !== null) {
    throw refusedRequest(operation, answer.status, answer.error);
  }
  return answer;
}

/** @throws DatabaseError when the database does not answer in time */
export async function inTime<T>(operation: string, request: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new DatabaseError(operation, 0, "", `none within ${DATABASE_TIMEOUT_MS / 1000} s`, null)),
      DATABASE_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([request, late]);
  } finally {
    clearTimeout(timer);
  }
}
