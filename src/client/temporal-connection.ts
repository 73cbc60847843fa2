import { Client, Connection } from "@temporalio/client";
import { loadClientConnectConfig } from "@temporalio/envconfig";
import { addressProblem, channelArgsFor, proxyVariableFor } from "../process/temporal-address.ts";
import { ClientError, EXIT } from "./errors.ts";

const CONNECT_TIMEOUT_MS = 5_000;

export interface Temporal {
  readonly client: Client;
  readonly namespace: string;
  /** The calls to Temporal that `act` makes end after this time. */
  within<T>(timeoutMs: number, act: () => Promise<T>): Promise<T>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws ClientError when no server answers, or what says where it is cannot be read */
export async function connectToTemporal(env: Environment): Promise<Temporal> {
  const { connectionOptions, namespace = "default" } = readTemporalSettings(env);
  const address = connectionOptions.address ?? "127.0.0.1:7233";
  const problem = addressProblem(connectionOptions.address);
  if (problem !== null) {
    throw new ClientError(EXIT.usage, problem);
  }
  const options = { ...connectionOptions, ...channelArgsFor(address), connectTimeout: CONNECT_TIMEOUT_MS };
  const connection = await Connection.connect(options).catch((error: unknown) => {
    const proxy = proxyVariableFor(address, env);
    const by = proxy === null ? "" : `, asked through the proxy of ${proxy} (no_proxy leaves hosts out)`;
    const advice = "Check TEMPORAL_ADDRESS and that the server runs (gpu-pool dev starts one here).";
    throw new ClientError(EXIT.unreachable, `no answer from Temporal at ${address}${by}`, advice, { cause: error });
  });
  return {
    client: new Client({ connection, namespace }),
    namespace,
    within: (timeoutMs, act) => connection.withDeadline(Date.now() + timeoutMs, act),
  };
}

/** By the variables and the configuration file of Temporal's own tools. @throws ClientError when these cannot be read */
function readTemporalSettings(env: Environment) {
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
