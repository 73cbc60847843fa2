import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { SEARCH_ATTRIBUTES } from "../contract/search-attributes.ts";
import { claimDataDir, readOrMakeSecrets } from "./data-dir.ts";
import { migrateDataDir } from "./migrate-data-dir.ts";
import { startOnFreePort } from "./servers/free-port.ts";
import { startGateway } from "./gateway/gateway.ts";
import { type Keys, makeKeys } from "./gateway/auth.ts";
import { type Guardian, type ManagedProcess, startGuardian } from "../process/guardian.ts";
import { startPostgres } from "./servers/postgres.ts";
import { startPostgrest } from "./servers/postgrest.ts";
import { projectProgram } from "../process/program.ts";
import { createLightPodLauncher } from "../simulator/light-pod.ts";
import { findFfmpeg } from "../gpu-worker/video/ffmpeg.ts";
import { createPodLauncher } from "../simulator/pod-process.ts";
import { type Simulator, startSimulator } from "../simulator/simulator.ts";
import type { SimulatorSettings } from "../simulator/settings.ts";
import { removeStackEnvFile, writeStackEnvFile } from "./stack-env-file.ts";
import { bootstrapSupabase } from "./servers/supabase-roles.ts";
import { findTemporalBinary } from "./servers/temporal-binary.ts";
import { startTemporalServer } from "./servers/temporal-server.ts";

const DATABASE = "gpu_pool";
const DUPLICATE_DATABASE = "42P04";
const DEFAULT_BUCKET = "videos";
/** The ports that people expect. A port in use is replaced by any free one. */
const PORTS = { temporal: 7233, temporalUi: 8233, api: 54321, postgres: 54322, simulator: 54390 };

export interface StackOptions {
  readonly dataDir: string;
  readonly logger: Logger;
  /** A real service that is configured here replaces the part of the stack. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Start with an empty queue and an empty Temporal server. */
  readonly fresh?: boolean;
  readonly simulator?: Partial<SimulatorSettings>;
  /** Pods of the simulator: processes (the default), or actors within this process, which cost very little. */
  readonly pods?: "process" | "light";
  /** Called for each part when it is up. */
  readonly onPart?: (part: string, detail: string) => void;
}

export interface Stack {
  readonly guardian: Guardian;
  /** The variables with which a process uses this stack, named as in docs/configuration.md. */
  readonly env: Readonly<Record<string, string>>;
  /** The same variables as a file for `gpu-pool --env-file`; readable by its owner only, deleted with the stack. */
  readonly envFile: string;
  /** Null where the real service is used. */
  readonly simulator: Simulator | null;
  readonly temporalUiUrl: string | null;
  /** Resolves with a sentence about the first server of the stack that ends although nobody closed the stack. */
  readonly partEnded: Promise<string>;
  /** Starts src/worker.ts with the stack's environment. */
  startTemporalWorker(env?: Readonly<Record<string, string>>, onLine?: (line: string) => void): ManagedProcess;
  close(): Promise<void>;
}

/** Starts the embedded stack: real servers on 127.0.0.1, none of which outlives this process. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { logger } = options;
  const guardian = await startGuardian({ logger });
  const closers: (() => Promise<void>)[] = [() => guardian.close()];
  let isClosing = false;
  let tellEnd: (what: string) => void = () => undefined;
  const partEnded = new Promise<string>((resolve) => (tellEnd = resolve));
  const mustRun = (server: ManagedProcess) =>
    void server.exited.then(({ code, signal }) => {
      if (!isClosing) {
        const tail = server.outputTail();
        tellEnd(
          `${server.name} ended (${signal ?? `code ${code}`})${tail === "" ? "" : `. Its last output:\n${tail}`}`,
        );
      }
    });
  const close = async () => {
    isClosing = true;
    for (const end of closers.splice(0).reverse()) {
      await end();
    }
  };
  try {
    const dataDir = await claimDataDir(guardian, options.dataDir);
    const closeLater = (end: () => Promise<void>) => void closers.push(end);
    const parts = { ...options, guardian, dataDir, mustRun, closeLater };
    const [temporal, supabase, runpod] = await Promise.all([
      temporalPart(parts),
      supabasePart(parts),
      runpodPart(parts),
    ]);
    const env = { ...temporal.env, ...supabase, ...runpod.env };
    const envFile = await writeStackEnvFile(dataDir, env);
    closers.push(() => removeStackEnvFile(dataDir));
    return {
      guardian,
      env,
      envFile,
      simulator: runpod.simulator,
      temporalUiUrl: temporal.uiUrl,
      partEnded,
      startTemporalWorker(extra = {}, onLine = () => undefined) {
        const { command, args } = projectProgram("worker");
        const whole = { ...process.env, ...env, ...extra };
        const worker = guardian.spawn(command, args, { name: "Temporal worker", env: whole, onLine });
        // The Temporal worker has to stop before the servers that it uses.
        closers.push(() => worker.stop());
        return worker;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

type Parts = StackOptions & {
  readonly guardian: Guardian;
  readonly dataDir: string;
  mustRun(server: ManagedProcess): void;
  closeLater(end: () => Promise<void>): void;
};

/** The addresses of real services stand in the stack's file too, so that a reader of it never takes another service. */
function chosen(env: NonNullable<StackOptions["env"]>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

async function temporalPart(parts: Parts): Promise<{ env: Record<string, string>; uiUrl: string | null }> {
  const { env = {}, guardian, logger, onPart, fresh = false } = parts;
  if (env["TEMPORAL_ADDRESS"]) {
    onPart?.("Temporal", `yours, at ${env["TEMPORAL_ADDRESS"]}`);
    return { env: chosen(env, ["TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"]), uiUrl: null };
  }
  const binary = await findTemporalBinary({
    logger,
    onProgress: ({ source, receivedBytes }) => onPart?.("Temporal", `${source}: ${Math.round(receivedBytes / 1e6)} MB`),
  });
  const start = async (port: number, uiPort: number) =>
    await startTemporalServer({
      guardian,
      logger,
      binary: binary.path,
      ...(fresh ? {} : { dataDir: join(parts.dataDir, "temporal") }),
      port,
      uiPort,
      searchAttributes: Object.fromEntries(SEARCH_ATTRIBUTES.map(({ name }) => [name, "Keyword"] as const)),
    });
  const server = await startOnFreePort(
    PORTS.temporal,
    async (port) => await startOnFreePort(PORTS.temporalUi, async (uiPort) => await start(port, uiPort)),
  );
  parts.mustRun(server.process);
  onPart?.("Temporal", `${server.address}, Web UI ${server.uiUrl}; binary: ${binary.source}`);
  return { env: { TEMPORAL_ADDRESS: server.address }, uiUrl: server.uiUrl };
}

interface Secrets {
  readonly keys: Keys;
  readonly authenticatorPassword: string;
}

async function supabasePart(parts: Parts): Promise<Record<string, string>> {
  const { env = {}, guardian, logger, dataDir, onPart } = parts;
  if (env["SUPABASE_URL"]) {
    onPart?.("Supabase", `yours, at ${env["SUPABASE_URL"]}`);
    return chosen(env, ["SUPABASE_URL", "SUPABASE_PUBLIC_URL"]);
  }
  const secrets = await readOrMakeSecrets<Secrets>(dataDir, async ({ keys, authenticatorPassword }) => ({
    keys: await makeKeys(keys),
    authenticatorPassword: authenticatorPassword ?? randomBytes(24).toString("base64url"),
  }));
  const databaseUrl = await startDatabase(parts, secrets.authenticatorPassword);
  const authenticator = new URL(databaseUrl);
  authenticator.username = "authenticator";
  authenticator.password = secrets.authenticatorPassword;
  const { jwtSecret, anonKey, serviceRoleKey } = secrets.keys;
  const videoBucket = env["SUPABASE_VIDEO_BUCKET"]?.trim() || DEFAULT_BUCKET;
  const postgrest = await startOnFreePort(
    undefined,
    async (port) => await startPostgrest({ guardian, logger, databaseUrl: authenticator.href, jwtSecret, port }),
  );
  parts.mustRun(postgrest.process);
  const gateway = await startOnFreePort(
    PORTS.api,
    async (port) =>
      await startGateway({
        port,
        postgrestUrl: postgrest.url,
        databaseUrl,
        storageDir: join(dataDir, "storage"),
        keys: secrets.keys,
        videoBucket,
        logger,
      }),
  );
  parts.closeLater(() => gateway.close());
  onPart?.("API", `${gateway.url} (REST, storage, functions)`);
  return {
    SUPABASE_URL: gateway.url,
    // Set, so that the simulator's pods never get the public address of another project.
    SUPABASE_PUBLIC_URL: gateway.url,
    SUPABASE_ANON_KEY: anonKey,
    SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey,
    SUPABASE_VIDEO_BUCKET: videoBucket,
    SUPABASE_DB_URL: databaseUrl,
  };
}

/** Starts Postgres with the migrated database; returns the superuser's URL of it. */
async function startDatabase(parts: Parts, authenticatorPassword: string): Promise<string> {
  const { guardian, logger, dataDir, onPart, fresh = false } = parts;
  const postgres = await startOnFreePort(
    PORTS.postgres,
    async (port) =>
      await startPostgres({ guardian, logger, dataDir: join(dataDir, "postgres"), port, ephemeral: fresh }),
  );
  parts.mustRun(postgres.process);
  if (fresh) {
    await postgres.dropDatabase(DATABASE);
  }
  await postgres.createDatabase(DATABASE).catch((error: unknown) => {
    if ((error as { code?: string }).code !== DUPLICATE_DATABASE) {
      throw error;
    }
  });
  const databaseUrl = postgres.databaseUrl(DATABASE);
  await bootstrapSupabase({ databaseUrl, authenticatorPassword });
  const applied = await migrateDataDir(databaseUrl, dataDir);
  onPart?.("Postgres", `127.0.0.1:${postgres.port}, ${applied.length} migrations applied`);
  return databaseUrl;
}

async function runpodPart(parts: Parts): Promise<{ env: Record<string, string>; simulator: Simulator | null }> {
  const { env = {}, guardian, dataDir, onPart } = parts;
  if (env["RUNPOD_API_KEY"]) {
    onPart?.("Runpod", "the real one: pods cost money");
    return { env: chosen(env, ["RUNPOD_API_URL"]), simulator: null };
  }
  // Each of its pods would end at once, again and again.
  await findFfmpeg(env["FFMPEG_PATH"]?.trim() || null);
  const simulator = await startOnFreePort(
    PORTS.simulator,
    async (port) =>
      await startSimulator({
        launch: parts.pods === "light" ? createLightPodLauncher() : createPodLauncher({ guardian }),
        dataDir,
        port,
        ...(parts.simulator === undefined ? {} : { settings: parts.simulator }),
      }),
  );
  parts.closeLater(() => simulator.close());
  onPart?.("Runpod", `simulator at ${simulator.url}`);
  // Pods whose profile is not set run this project's own program, which needs no volume, with the engine that needs no GPU.
  const program = { WORKER_PROFILE: "gpu-worker", WORKER_ENGINE: "preview" };
  const unset = Object.entries(program).filter(([name]) => !env[name]?.trim());
  const address = { RUNPOD_API_URL: simulator.apiUrl, RUNPOD_API_KEY: simulator.apiKey };
  return { env: { ...address, ...Object.fromEntries(unset) }, simulator };
}
