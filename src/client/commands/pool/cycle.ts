import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { GpuPoolInput, GpuPoolWorkflow } from "../../../contract/inputs.ts";
import type { CycleSummary } from "../../../contract/cycle-summary.ts";
import { poolQueries } from "../../../contract/pool-api.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { requireAnswer } from "../../pool-workflow.ts";
import { parsePoolConfig, refuseLateConfig } from "./pool-start.ts";
import { type StartedPool, startPool } from "../../start-pool.ts";
import { renderRound, roundOf } from "../../render/round.ts";

const ROUND_TIMEOUT_MS = 120_000;
/** Within this time a controller that has just been started observes its pool. */
const FIRST_LOOK_MS = 10_000;
const POLL_MS = 250;
const READ_TIMEOUT_MS = 15_000;

type Run = Pick<StartedPool, "workflowId" | "runId">;
type GivenSettings = NonNullable<GpuPoolInput["config"]>;

export async function runCycle(context: Context, options: PoolOptions & { config?: string }): Promise<void> {
  const { output } = context;
  const config = options.config === undefined ? {} : parsePoolConfig(options.config);
  const pool = poolName(context, options);
  const { wasRunning, ...run } = await startPool(context, pool, { config, rounds: 1 });
  const running = wasRunning ? await inputOf(context, run) : null;
  const isOfController = wasRunning && running?.rounds === undefined;
  if (wasRunning && !isOfController) {
    output.note(`gpu-pool: another cycle of pool ${pool} was under way; its round is waited for and shown`);
  }
  const round = isOfController ? await latestRound(context, pool) : await endOfRound(context, pool, run);
  if (isOfController) {
    output.note(`gpu-pool: a controller keeps pool ${pool}; this is its latest decision, of ${round.at}`);
  }
  if (options.json) {
    output.printJson(round);
  } else {
    output.print(renderRound(round, output.size().columns, output.style));
  }
  if (isOfController) {
    refuseLateConfig(pool, config);
  } else if (wasRunning) {
    refuseOtherConfig(pool, config, running?.config ?? {});
  }
}

/** The input that a run was started with, from its first event; null if it cannot be decoded. */
async function inputOf(context: Context, execution: Run): Promise<Partial<GpuPoolInput> | null> {
  const { client, namespace, within } = await context.connections.temporal();
  const { history } = await within(READ_TIMEOUT_MS, () =>
    client.workflowService.getWorkflowExecutionHistory({ namespace, execution, maximumPageSize: 1 }),
  );
  const [payload] = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const { payloadConverter } = client.options.loadedDataConverter;
  try {
    const input = payload ? payloadConverter.fromPayload<Partial<GpuPoolInput>>(payload) : null;
    return input;
  } catch {
    return null;
  }
}

/**
 * If the other round has the same settings, they were applied, as with a late cron job.
 * @throws ClientError when others were given
 */
function refuseOtherConfig(pool: string, config: GivenSettings, applied: GivenSettings): void {
  if (Object.keys(config).length > 0 && !isDeepStrictEqual(JSON.parse(JSON.stringify(config)), applied)) {
    throw new ClientError(
      EXIT.failed,
      `--config was not applied: another cycle of pool ${pool} was under way`,
      "It has ended: repeat this one.",
    );
  }
}

async function endOfRound(context: Context, pool: string, { workflowId, runId }: Run): Promise<CycleSummary> {
  const { client, within } = await context.connections.temporal();
  const handle = client.workflow.getHandle<GpuPoolWorkflow>(workflowId, runId);
  let round: CycleSummary | undefined;
  try {
    round = await within(ROUND_TIMEOUT_MS, () => handle.result());
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
  if (round === undefined) {
    throw new ClientError(EXIT.failed, `cycle: pool ${pool} was shut down during its round`);
  }
  return round;
}

/** Temporal wraps an activity's error in errors of its own. */
function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error;
}

async function latestRound(context: Context, pool: string): Promise<CycleSummary> {
  const deadlineMs = Date.now() + FIRST_LOOK_MS;
  for (;;) {
    const { now } = await requireAnswer(context, pool, poolQueries.explain);
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
