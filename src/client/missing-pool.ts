import { poolStore } from "../supabase/pool-store.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";
import { startCommand } from "./render/start-command.ts";

/**
 * The error for a pool that does not run or has no row. It advises to start a pool only if somebody made one of that name;
 * else it names the pools that there are.
 * @param problem what fails, with the pool's name, as in "drain: pool main does not run".
 */
export async function missingPool(context: Context, pool: string, problem: string): Promise<ClientError> {
  const names = await poolNames(context);
  if (names === null) {
    return new ClientError(EXIT.notFound, problem, "The database does not say whether this pool was ever started.");
  }
  return names.includes(pool)
    ? new ClientError(EXIT.notFound, problem, `start it: ${startCommand(pool)}`)
    : new ClientError(EXIT.notFound, problem, `No pool of this name was ever started. ${describePools(names)}`);
}

/** In words, which pools there are. */
export function describePools(names: readonly string[]): string {
  if (names.length === 0) {
    return "There is no pool yet: see gpu-pool pool start --help";
  }
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more (gpu-pool pool list)` : "";
  return `${names.length === 1 ? "The only pool is" : "The pools are"} ${names.slice(0, SHOWN).join(", ")}${more}.`;
}

const SHOWN = 10;

/** The names of all pools that were ever started. Null: the database does not say. */
async function poolNames(context: Context): Promise<readonly string[] | null> {
  try {
    return await poolStore(await context.connections.database()).names();
  } catch {
    return null;
  }
}
