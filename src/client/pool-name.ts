import { loadConfig } from "../config/config.ts";
import { table } from "../config/variables.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";
import type { PoolOptions } from "./options.ts";
import { plain } from "./render/output.ts";

/**
 * The options of a command that takes the pool's name as an argument too.
 * @throws ClientError when argument and option name different pools
 */
export function withNamed<Options extends PoolOptions>(options: Options, name: string | undefined): Options {
  if (name !== undefined && options.pool !== undefined && options.pool !== name) {
    const advice = "Name it once.";
    throw new ClientError(EXIT.usage, `${plain(name)} and --pool ${plain(options.pool)} name two pools`, advice);
  }
  return name === undefined ? options : { ...options, pool: name };
}

/** The name of the pool that a command is about. @throws ClientError, ConfigError */
export function poolName(context: Context, { pool }: PoolOptions): string {
  if (pool === undefined) {
    return loadConfig(context.env, { need: [] }).pool.name;
  }
  const { kind } = table.pool.name;
  if (!kind.schema.safeParse(pool).success) {
    throw new ClientError(EXIT.usage, `${plain(pool)} is no pool's name`, `Expected ${kind.allowed}.`);
  }
  return pool;
}
