import { loadConfig } from "../config/config.ts";
import { table } from "../config/variables.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";
import type { PoolOptions } from "./options.ts";
import { plain } from "./render/output.ts";

/** The name of the pool that a command is about. @throws ClientError, ConfigError */
export function poolName(context: Context, { pool }: PoolOptions): string {
  if (pool === undefined) {
    return loadConfig(context.env, { need: [] }).pool.name;
  }
  const { kind } = table.pool.name;
  if (!kind.schema.safeParse(pool).success) {
    throw new ClientError(EXIT.usage, `--pool ${plain(pool)} is no pool's name`, `Expected ${kind.allowed}.`);
  }
  return pool;
}
