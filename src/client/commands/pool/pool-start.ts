import { parseOwnSettings } from "../../../config/settings-in-force.ts";
import type { OwnSettings } from "../../../contract/pool-settings.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { startPool } from "../../start-pool.ts";

export async function openPool(context: Context, options: PoolOptions & { config?: string }): Promise<void> {
  const config = options.config === undefined ? {} : parsePoolConfig(options.config);
  const name = poolName(context, options);
  const started = await startPool(context, name, { config });
  if (options.json) {
    context.output.printJson({ pool: name, ...started });
  } else {
    context.output.print(
      started.wasRunning ? `pool ${name} was running already` : `pool ${name} started (workflow ${started.workflowId})`,
    );
  }
  if (started.wasRunning) {
    refuseLateConfig(name, config);
  }
}

/** @throws ClientError, ConfigError */
export function parsePoolConfig(text: string): OwnSettings {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new ClientError(
      EXIT.usage,
      `--config is no JSON: ${(error as Error).message}`,
      `Give an object such as '{"maxActiveGpus":4}'.`,
    );
  }
  return parseOwnSettings(given);
}

/** A pool reads `--config` only when it starts. @throws ClientError when settings were given */
export function refuseLateConfig(pool: string, config: OwnSettings): void {
  const pairs = Object.entries(config).map(([key, value]) => `${key}=${shellWord(value)}`);
  if (pairs.length > 0) {
    const where = pool === "main" ? "" : ` --pool ${pool}`;
    throw new ClientError(
      EXIT.failed,
      `--config was not applied: pool ${pool} was running already`,
      `Change what it runs with: gpu-pool config set${where} ${pairs.join(" ")}`,
    );
  }
}

function shellWord(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[\w.:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
