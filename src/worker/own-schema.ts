import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Database } from "../supabase/client.ts";
import { migrationNames } from "../supabase/migration-files.ts";
import { readAppliedMigrations } from "../supabase/project/project-check.ts";

const PAUSE_MS = 1_000;
const LOG_MS = 60_000;

/**
 * Waits until the database has every migration of this version, and says once a minute which it lacks. Processes of the
 * older version go on meanwhile. Migrations that this version does not know are no obstacle: a newer one will follow.
 * @throws AbortError when the process is to stop
 */
export async function awaitMigrations(database: Database, logger: Logger, stopping: AbortSignal): Promise<void> {
  const known = await migrationNames();
  let loggedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    let problem: object | undefined;
    try {
      const applied = new Set(await readAppliedMigrations(database));
      const pending = known.filter((name) => !applied.has(name));
      if (pending.length === 0) {
        const unknown = [...applied].filter((name) => !known.includes(name));
        if (unknown.length > 0) {
          logger.info({ unknown }, "the database has migrations of a newer version; this version serves beside it");
        }
        return;
      }
      problem = { pending };
    } catch (error) {
      problem = { err: error };
    }
    if (Date.now() - loggedAt >= LOG_MS) {
      loggedAt = Date.now();
      logger.warn(
        problem,
        "the database lacks migrations of this version, or does not say which it has: nothing is served until it has " +
          "them. Run gpu-pool db migrate",
      );
    }
    await sleep(PAUSE_MS, undefined, { signal: stopping });
  }
}
