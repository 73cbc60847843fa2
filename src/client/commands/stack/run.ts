import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { startPool } from "../../start-pool.ts";
import { endSoon } from "../../../worker/end-of-process.ts";
import { serve } from "../../../worker/serve.ts";

export interface RunOptions extends PoolOptions {
  readonly start?: boolean;
}

/** Runs the Temporal worker in this process until Ctrl-C. @throws ClientError, ConfigError, DeploymentConflict */
export async function runTemporalWorker(context: Context, options: RunOptions): Promise<void> {
  const pool = poolName(context, options);
  const openPool = async () => {
    const { wasRunning } = await startPool(context, pool, {});
    context.output.note(`gpu-pool: pool ${pool} ${wasRunning ? "was running already" : "started"}`);
  };
  try {
    await serve({ env: context.env, onServing: options.start ? openPool : undefined });
    endSoon();
  } catch (error) {
    if (error instanceof Error && error.name === "TransportError") {
      const advice = "Check TEMPORAL_ADDRESS and that the server runs (gpu-pool dev starts one here).";
      throw new ClientError(EXIT.unreachable, `no answer from Temporal: ${error.message}`, advice, { cause: error });
    }
    throw error;
  }
}
