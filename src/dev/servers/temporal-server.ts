import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "@temporalio/client";
import type { Logger } from "pino";
import { channelArgsFor } from "../../process/temporal-address.ts";
import { freePort, isListening, requireFreePort } from "./free-port.ts";
import { hiddenLoopback, openTemporalUiDoor } from "./temporal-ui-door.ts";
import type { Guardian, ManagedProcess } from "../../process/guardian.ts";

const START_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 2_000;
const POLL_MS = 100;

/** The default, four partitions per task queue, costs a single server a tenth of its processor time for nothing. */
const ONE_PARTITION = ["Read", "Write"].map((way) => `matching.numTaskqueue${way}Partitions=1`);

/** Twice as fast as the default journal, which is synced at each commit, and as safe when a process is killed. */
const SQLITE_PRAGMAS = ["journal_mode=WAL", "synchronous=NORMAL"];

/** GOGC=400: 200 MB more memory for a tenth less processor time at 1,000 workers. */
const GC_PERCENT = "400";

/**
 * Closes the HTTP API, which start-dev opens on a port of its own and which would start workflows for any web page. A list
 * of names that nobody has is the only way: the list's default is every name, and an empty list means the same.
 */
const NO_HTTP_API = 'frontend.httpAllowedHosts=["nobody.invalid"]';

/** The server's search attribute types with their numbers in its API. */
const ATTRIBUTE_TYPES = { Text: 1, Keyword: 2, Int: 3, Double: 4, Bool: 5, Datetime: 6, KeywordList: 7 } as const;
export type TemporalAttributeType = keyof typeof ATTRIBUTE_TYPES;

export interface TemporalServerOptions {
  readonly guardian: Guardian;
  /** Path of the Temporal CLI, as `findTemporalBinary` returns it. */
  readonly binary: string;
  /** Folder of the state file, made when missing. Default: the state is kept in memory and lost at the end. */
  readonly dataDir?: string;
  /** gRPC port on 127.0.0.1. */
  readonly port: number;
  /** Port of the Web UI; default: no Web UI. */
  readonly uiPort?: number;
  /** Made at start when missing; "default" always exists. */
  readonly namespace?: string;
  /** Name → type, as in `{ GpuPool: "Keyword" }`. */
  readonly searchAttributes: Readonly<Record<string, TemporalAttributeType>>;
  readonly logger: Logger;
}

export interface TemporalServer {
  /** host:port of the gRPC service. */
  readonly address: string;
  readonly uiUrl: string | null;
  readonly process: ManagedProcess;
}

type Attributes = TemporalServerOptions["searchAttributes"];

async function missingAttributes(connection: Connection, namespace: string, wanted: Attributes): Promise<Attributes> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => !(name in (customAttributes ?? {}))));
}

async function isReady(port: number, namespace: string, wanted: Attributes): Promise<boolean> {
  // After a refused connection gRPC waits a second or more, which is longer than the server needs to start.
  if (!(await isListening(port))) {
    return false;
  }
  const address = `127.0.0.1:${port}`;
  const options = { address, ...channelArgsFor(address), connectTimeout: CONNECT_TIMEOUT_MS };
  const connection = await Connection.connect(options);
  try {
    await connection.workflowService.describeNamespace({ namespace });
    const missing = Object.entries(await missingAttributes(connection, namespace, wanted));
    if (missing.length === 0) {
      return true;
    }
    // The server applies --search-attribute only when it makes the namespace, so an older state file lacks new ones.
    const searchAttributes = Object.fromEntries(missing.map(([name, type]) => [name, ATTRIBUTE_TYPES[type]]));
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
    return Object.keys(await missingAttributes(connection, namespace, wanted)).length === 0;
  } finally {
    await connection.close();
  }
}

function serverArgs(
  { dataDir, port, namespace = "default", searchAttributes }: TemporalServerOptions,
  ui: { readonly ip: string; readonly port: number } | null,
): string[] {
  const settings = [...ONE_PARTITION, NO_HTTP_API];
  const file = dataDir === undefined ? [] : ["--db-filename", join(dataDir, "temporal.db")];
  const pragmas = dataDir === undefined ? [] : SQLITE_PRAGMAS;
  return [
    "server",
    "start-dev",
    "--ip",
    "127.0.0.1",
    "--port",
    String(port),
    "--namespace",
    namespace,
    "--log-level",
    "warn",
    ...settings.flatMap((setting) => ["--dynamic-config-value", setting]),
    ...(ui === null ? ["--headless"] : ["--ui-ip", ui.ip, "--ui-port", String(ui.port), "--ui-disable-news-fetch"]),
    ...file,
    ...pragmas.flatMap((pragma) => ["--sqlite-pragma", pragma]),
    ...Object.entries(searchAttributes).flatMap(([name, type]) => ["--search-attribute", `${name}=${type}`]),
  ];
}

/**
 * Starts Temporal's development server on 127.0.0.1. Resolves when it answers and has the namespace and the search
 * attributes. @throws Error with the server's last output when it ends early or is not ready within 60 s.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { guardian, binary, port, uiPort, namespace = "default", searchAttributes, logger } = options;
  const ui = uiPort === undefined ? null : { ip: hiddenLoopback(), port: await freePort(), door: uiPort };
  if (options.dataDir !== undefined) {
    await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  }
  await requireFreePort(port, "the Temporal server");
  if (ui !== null) {
    await requireFreePort(ui.door, "the Temporal Web UI");
  }
  const server = guardian.spawn(binary, serverArgs(options, ui), {
    name: "temporal",
    env: { GOGC: GC_PERCENT, ...process.env },
  });
  let ended = false;
  void server.exited.then(() => (ended = true));
  const address = `127.0.0.1:${port}`;
  const giveUpMs = Date.now() + START_TIMEOUT_MS;
  let lastError: unknown;
  const answers = async () =>
    await isReady(port, namespace, searchAttributes).catch((error: unknown) => void (lastError = error));
  // A server that has ended lost its port to another one, and then that one answers.
  while (!(await answers()) || ended) {
    if (!ended && Date.now() < giveUpMs) {
      await delay(POLL_MS);
      continue;
    }
    // Read the tail before the stop, whose output would replace the reason.
    const [why, tail] = [ended ? "it ended" : `not ready in ${START_TIMEOUT_MS} ms`, server.outputTail()];
    await server.stop();
    throw new Error(
      `the Temporal dev server did not come up on ${address} (${why}). Its last output:\n${tail || "(none)"}`,
      { cause: lastError },
    );
  }
  const uiUrl = ui === null ? null : `http://127.0.0.1:${ui.door}`;
  if (ui !== null) {
    const closeDoor = await openTemporalUiDoor(ui.door, `http://${ui.ip}:${ui.port}`).catch(async (error: unknown) => {
      await server.stop();
      throw error;
    });
    void server.exited.then(closeDoor);
  }
  logger.debug({ address, uiUrl }, "the Temporal dev server is up");
  return { address, uiUrl, process: server };
}
