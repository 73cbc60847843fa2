import { randomUUID } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build as bundle } from "esbuild";
import { pino } from "pino";
import type { TestProject } from "vitest/node";
import { build } from "../scripts/build.ts";
import { SEARCH_ATTRIBUTES } from "../src/contract/search-attributes.ts";
import { startOnFreePort } from "../src/dev/servers/free-port.ts";
import { type Guardian, startGuardian } from "../src/process/guardian.ts";
import { startPostgres } from "../src/dev/servers/postgres.ts";
import { bootstrapSupabase } from "../src/dev/servers/supabase-roles.ts";
import { findTemporalBinary } from "../src/dev/servers/temporal-binary.ts";
import { startTemporalServer } from "../src/dev/servers/temporal-server.ts";
import { migrate } from "../src/supabase/migrate.ts";
import { bundleWorkflows } from "../src/worker/workflow-bundle.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Shared by all test files: one Postgres server with a migrated template, one Temporal server, one build of the sources. */
export interface Shared {
  readonly superuserUrl: string;
  readonly templateDatabase: string;
  readonly authenticatorPassword: string;
  readonly temporalAddress: string;
  readonly temporalBinary: string;
  readonly workflowBundle: string;
  /** The build's folder `dist/`. A process of it starts in half the processor time of one that tsx compiles. */
  readonly dist: string;
}

declare module "vitest" {
  interface ProvidedContext {
    shared: Shared;
  }
}

// Vitest calls this once for each project of the run; all of them share what the first call starts.
let users = 0;
let started: Promise<{ shared: Shared; guardian: Guardian }> | undefined;

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  users += 1;
  started ??= start();
  const { shared, guardian } = await started;
  project.provide("shared", shared);
  return async () => {
    users -= 1;
    if (users === 0) {
      started = undefined;
      await guardian.close();
    }
  };
}

async function start(): Promise<{ shared: Shared; guardian: Guardian }> {
  const logger = pino({ level: "warn" }, process.stderr);
  const guardian = await startGuardian({ logger });
  const directory = await mkdtemp(join(tmpdir(), "gpu-pool-test-"));
  await guardian.removeAtEnd(directory);
  // Postgres does not run as root, and its own user must be able to enter this folder if the tests run as root.
  await chmod(directory, 0o711);
  const [database, temporal, built] = await Promise.all([
    startDatabase(guardian, logger, directory),
    startTemporal(guardian, logger),
    buildSources(join(directory, "build")),
  ]);
  return { guardian, shared: { ...database, ...temporal, ...built } };
}

async function startDatabase(guardian: Guardian, logger: pino.Logger, directory: string) {
  const dataDir = join(directory, "postgres");
  const postgres = await startOnFreePort(
    undefined,
    async (port) => await startPostgres({ guardian, logger, dataDir, port, ephemeral: true }),
  );
  const templateDatabase = "gpu_pool_template";
  await postgres.createDatabase(templateDatabase);
  const authenticatorPassword = randomUUID();
  const databaseUrl = postgres.databaseUrl(templateDatabase);
  await bootstrapSupabase({ databaseUrl, authenticatorPassword });
  await migrate(databaseUrl);
  return { superuserUrl: postgres.superuserUrl, templateDatabase, authenticatorPassword };
}

async function startTemporal(guardian: Guardian, logger: pino.Logger) {
  const binary = await findTemporalBinary({ logger });
  const searchAttributes = Object.fromEntries(SEARCH_ATTRIBUTES.map(({ name }) => [name, "Keyword"] as const));
  const server = await startOnFreePort(
    undefined,
    async (port) => await startTemporalServer({ guardian, logger, binary: binary.path, port, searchAttributes }),
  );
  return { temporalAddress: server.address, temporalBinary: binary.path };
}

async function buildSources(root: string) {
  await mkdir(root);
  const parts = ["src", "sql", "bin", "scripts", "supabase/functions/_shared", "package.json"];
  for (const part of [...parts, "tsconfig.json", "tsconfig.build.json"]) {
    await cp(join(ROOT, part), join(root, part), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  const { code } = await bundleWorkflows();
  await build(root, { check: false, workflows: code });
  const dist = join(root, "dist");
  await joinModules(join(dist, "src/gpu-worker/main.js"));
  return { dist, workflowBundle: join(dist, "workflow-bundle.js") };
}

/** Puts all modules of a program, but for native ones, into its own file: hundreds of pods then start at a quarter of the cost. */
async function joinModules(main: string): Promise<void> {
  await bundle({
    entryPoints: [main],
    outfile: main,
    allowOverwrite: true,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["libsql"],
    // CommonJS packages ask for Node's own modules by this name.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    logLevel: "error",
  });
}
