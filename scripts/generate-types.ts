import { chmod, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { pino } from "pino";
import { freePort } from "../src/dev/servers/free-port.ts";
import { startGuardian } from "../src/process/guardian.ts";
import { startPostgres } from "../src/dev/servers/postgres.ts";
import { bootstrapSupabase } from "../src/dev/servers/supabase-roles.ts";
import { EXPECTED_CATALOG, readCatalog } from "../src/supabase/catalog.ts";
import { migrate, withClient } from "../src/supabase/migrate.ts";
import { typesOf } from "./database-types.ts";

const TYPES = new URL("../src/supabase/generated-types.ts", import.meta.url);

/** The committed files that are made from a freshly migrated database: the expected catalog and the types. */
export async function generatedFiles(client: pg.ClientBase): Promise<{ readonly url: URL; readonly text: string }[]> {
  return [
    { url: EXPECTED_CATALOG, text: `${JSON.stringify(await readCatalog(client), null, 2)}\n` },
    { url: TYPES, text: await typesOf(client) },
  ];
}

async function main(mode: string | undefined): Promise<void> {
  if (mode !== "--write" && mode !== "--check") {
    throw new Error(`expected --check or --write, got ${mode ?? "nothing"}`);
  }
  const logger = pino({ level: "warn" }, process.stderr);
  const guardian = await startGuardian({ logger });
  try {
    const directory = await mkdtemp(join(tmpdir(), "gpu-pool-types-"));
    await guardian.removeAtEnd(directory);
    await chmod(directory, 0o711);
    const dataDir = join(directory, "postgres");
    const postgres = await startPostgres({ guardian, logger, dataDir, port: await freePort(), ephemeral: true });
    await postgres.createDatabase("types");
    const databaseUrl = postgres.databaseUrl("types");
    await bootstrapSupabase({ databaseUrl, authenticatorPassword: "unused" });
    await migrate(databaseUrl);
    const files = await withClient(databaseUrl, generatedFiles);
    for (const { url, text } of files) {
      if (mode === "--write") {
        await writeFile(url, text);
      } else if ((await readFile(url, "utf8").catch(() => "")) !== text) {
        console.error(`${fileURLToPath(url)} does not match sql/; run: npx tsx scripts/generate-types.ts --write`);
        process.exitCode = 1;
      }
    }
  } finally {
    await guardian.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(process.argv[2]);
}
