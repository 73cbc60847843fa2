import { loadClientConnectConfig } from "@temporalio/envconfig";
import { type GrpcCompressionConfig, NativeConnection } from "@temporalio/worker";
import type { Logger } from "pino";
import { ConfigError } from "../config/config.ts";
import { addressProblem } from "../process/temporal-address.ts";
import { SEARCH_ATTRIBUTES, searchAttributeCommand } from "../contract/search-attributes.ts";

/** Gzip, the default, holds about 40 MB of buffers for messages of a few kB. */
const UNCOMPRESSED: GrpcCompressionConfig = { codec: "none" };
/** Value of the server's enum IndexedValueType. */
const INDEXED_VALUE_TYPE_KEYWORD = 2;

type Environment = Readonly<Record<string, string | undefined>>;

/** Connects as the SDK's variables say: address, namespace, API key and TLS. @throws ConfigError, TransportError without an answer */
export async function connectToTemporal(env: Environment | undefined) {
  // An empty variable counts as unset.
  const set = Object.entries(env ?? {}).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const overrides = env && { overrideEnvVars: Object.fromEntries(set) };
  const { connectionOptions, namespace = "default" } = loadClientConnectConfig(overrides);
  const problem = addressProblem(connectionOptions.address);
  if (problem !== null) {
    throw new ConfigError("The environment", [{ variable: "TEMPORAL_ADDRESS", message: problem }], null);
  }
  const connection = await NativeConnection.connect({ ...connectionOptions, grpcCompression: UNCOMPRESSED });
  return { connection, namespace, address: connectionOptions.address };
}

/** Without these search attributes a namespace refuses our workflows. Temporal Cloud lets nobody add them here. */
export async function ensureSearchAttributes(
  connection: NativeConnection,
  namespace: string,
  logger: Logger,
): Promise<void> {
  let missing = SEARCH_ATTRIBUTES.map(({ name }) => name);
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    missing = missing.filter((name) => customAttributes[name] === undefined);
    if (missing.length > 0) {
      const searchAttributes = Object.fromEntries(missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD]));
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
      logger.info({ namespace, added: missing }, "search attributes registered");
    }
  } catch (error) {
    logger.warn(
      { namespace, err: error },
      `search attributes could not be read or added. Without ${missing.join(", ")} (Keyword) workflows do not start; ` +
        `on Temporal Cloud: ${searchAttributeCommand(namespace, missing)}`,
    );
  }
}
