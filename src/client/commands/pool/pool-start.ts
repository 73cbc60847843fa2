import { parseOwnSettings } from "../../../config/settings-in-force.ts";
import type { OwnSettings } from "../../../contract/pool-settings.ts";
import { DatabaseError } from "../../../supabase/database-error.ts";
import { agrees } from "../../ask.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { startPool } from "../../start-pool.ts";
import { describePlan, planStart, workersAtOnce } from "./start-plan.ts";

export interface StartOptions extends PoolOptions {
  readonly config?: string;
  readonly yes?: boolean;
}

/**
 * Says what the start will rent, asks on a terminal, and starts the pool.
 * @throws ClientError, also when the person does not agree
 */
export async function openPool(context: Context, options: StartOptions): Promise<void> {
  const config = options.config === undefined ? {} : parsePoolConfig(options.config);
  const name = poolName(context, options);
  await announce(context, name, config, options);
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

async function announce(context: Context, pool: string, config: OwnSettings, options: StartOptions): Promise<void> {
  const { output, stdin } = context;
  const asks = options.yes !== true && options.json !== true && stdin.isTTY === true && output.errIsTerminal;
  const plan = await planStart(context, pool, config).catch((error: unknown) => {
    if (error instanceof DatabaseError) {
      return error;
    }
    throw error;
  });
  if (plan === null) {
    return;
  }
  const isKnown = !(plan instanceof DatabaseError);
  const lines = isKnown
    ? describePlan(pool, plan)
    : [`what pool ${pool} rents is not known: the database does not answer (${plan.operation})`];
  output.note(lines);
  const rents = !isKnown || workersAtOnce(plan) > 0 || plan.queued > 0;
  if (asks && rents && !(await agrees(context, "Start it?"))) {
    throw new ClientError(EXIT.failed, `pool ${pool} was not started`, "--yes starts it without a question.");
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
