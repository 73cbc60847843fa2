import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { CycleSummary, PoolExplanation } from "../contract/messages.ts";
import { addExamples, type Context, jsonOption, poolName, poolOption, type PoolOptions } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";
import { requireAnswer } from "./pool-workflow.ts";
import { parsePoolConfig, refuseLateConfig, startPool } from "./pool-start.ts";
import { renderRound, roundOf } from "./round-render.ts";

const ROUND_TIMEOUT_MS = 120_000;
/** A controller that has just been started observes its pool within this long. */
const FIRST_LOOK_MS = 10_000;
const POLL_MS = 250;

export function addCycleCommand(program: Command, context: Context): void {
  const cycle = program
    .command("cycle")
    .description("one round: observe, decide, perform, end; where a controller keeps the pool, its latest decision")
    .option("--config <json>", "settings of this pool, over those of the environment and kept in its row")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions & { config?: string }) => {
      const { output } = context;
      const config = options.config === undefined ? {} : parsePoolConfig(options.config);
      const pool = poolName(context, options);
      const { wasRunning, runId, workflowId } = await startPool(context, pool, { config, rounds: 1 });
      const round = wasRunning
        ? await latestRound(context, pool)
        : await endOfRound(context, pool, { workflowId, runId });
      if (wasRunning) {
        output.note(`gpu-pool: a controller keeps pool ${pool}; this is its latest decision, of ${round.at}`);
      }
      if (options.json) {
        output.printJson(round);
      } else {
        output.print(renderRound(round, output.size().columns, output.style).join("\n"));
      }
      if (wasRunning) {
        refuseLateConfig(pool, config);
      }
    });
  addExamples(cycle, [
    ["gpu-pool cycle", "from cron, say, where no controller shall run all the time"],
    ["gpu-pool cycle --json | jq .actions", "for programs; docs/cycle-summary.schema.json describes it"],
  ]);
}

async function endOfRound(
  context: Context,
  pool: string,
  { workflowId, runId }: { readonly workflowId: string; readonly runId: string },
): Promise<CycleSummary> {
  const { client, within } = await context.connections.temporal();
  const handle = client.workflow.getHandle(workflowId, runId);
  let round: CycleSummary | null;
  try {
    round = await within(ROUND_TIMEOUT_MS, () => handle.result() as Promise<CycleSummary | null>);
  } catch (error) {
    const { name, message, cause } = error instanceof Error ? error : new Error(String(error));
    if (name === "WorkflowFailedError") {
      const reason = cause instanceof Error ? innermost(cause).message : message;
      throw new ClientError(EXIT.failed, `cycle: the round of pool ${pool} failed: ${reason}`, null, { cause: error });
    }
    throw new ClientError(
      EXIT.unreachable,
      `cycle: the round of pool ${pool} did not end within ${ROUND_TIMEOUT_MS / 1000} s`,
      "Is a Temporal worker running? Until one is, the round stays open: gpu-pool status.",
      { cause: error },
    );
  }
  if (round === null) {
    throw new ClientError(EXIT.failed, `cycle: pool ${pool} was shut down during its round`);
  }
  return round;
}

/** An activity's own words come wrapped in Temporal's. */
function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error;
}

async function latestRound(context: Context, pool: string): Promise<CycleSummary> {
  const deadlineMs = Date.now() + FIRST_LOOK_MS;
  for (;;) {
    const { now } = await requireAnswer<PoolExplanation>(context, pool, "explain");
    const round = now && roundOf(pool, now);
    if (round !== null) {
      return round;
    }
    if (Date.now() >= deadlineMs) {
      const advice = "Its Temporal worker's log says why it cannot read the database.";
      throw new ClientError(EXIT.unreachable, `cycle: the controller of pool ${pool} has seen nothing yet`, advice);
    }
    await sleep(POLL_MS);
  }
}
