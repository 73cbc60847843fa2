import type { Command } from "commander";
import { loadConfig, parseScalingOverrides, type ScalingOverrides } from "../config.ts";
import type { GpuPoolInput } from "../contract/inputs.ts";
import { POOL_WORKFLOW, poolWorkflowId } from "../contract/names.ts";
import { GPU_POOL, SEARCH_ATTRIBUTES } from "../contract/search-attributes.ts";
import { addExamples, type Context, jsonOption, poolName, poolOption, type PoolOptions } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";

const START_TIMEOUT_MS = 15_000;

export interface StartedPool {
  readonly workflowId: string;
  readonly runId: string;
  readonly wasRunning: boolean;
}

export function addPoolCommand(program: Command, context: Context): void {
  const pool = program.command("pool").description("start a pool");
  const start = pool
    .command("start")
    .description("start the workflow that keeps a pool; one that runs already is left alone")
    .option("--config <json>", "settings of this pool, over those of the environment and kept in its row")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions & { config?: string }) => {
      const config = options.config === undefined ? {} : parsePoolConfig(options.config);
      const name = poolName(context, options);
      const started = await startPool(context, name, { config });
      if (options.json) {
        context.output.printJson({ pool: name, ...started });
      } else {
        context.output.print(
          started.wasRunning
            ? `pool ${name} was running already`
            : `pool ${name} started (workflow ${started.workflowId})`,
        );
      }
      if (started.wasRunning) {
        refuseLateConfig(name, config);
      }
    });
  addExamples(start, [
    ["gpu-pool pool start", "start the pool main"],
    ['gpu-pool pool start --config \'{"maxActiveGpus":4,"scaleDownIdleSec":30}\'', "with settings of its own"],
    ["gpu-pool pool start --pool nightly --json", "another pool; print the run's ids"],
  ]);
}

/** @throws ClientError, ConfigError */
export function parsePoolConfig(text: string): ScalingOverrides {
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
  return parseScalingOverrides(given);
}

/** A pool reads `--config` at its start only. @throws ClientError when there was any */
export function refuseLateConfig(pool: string, config: ScalingOverrides): void {
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

/**
 * Starts the pool's workflow, unless it runs.
 * @throws ClientError when Temporal does not answer or lacks the search attributes
 */
export async function startPool(
  context: Context,
  pool: string,
  input: Omit<GpuPoolInput, "pool">,
): Promise<StartedPool> {
  const { taskQueue } = loadConfig(context.env, { need: [] }).temporal;
  const { client, namespace, within } = await context.connections.temporal();
  const workflowId = poolWorkflowId(pool);
  const args: [GpuPoolInput] = [{ pool, ...input }];
  try {
    // Refused while a run is open, so that the answer to "did it run already?" is the server's own.
    const handle = await within(START_TIMEOUT_MS, () =>
      client.workflow.start(POOL_WORKFLOW, {
        workflowId,
        taskQueue,
        args,
        workflowIdConflictPolicy: "FAIL",
        staticSummary: `GPU pool ${pool}`,
        typedSearchAttributes: [{ key: GPU_POOL, value: pool }],
      }),
    );
    return { workflowId, runId: handle.firstExecutionRunId, wasRunning: false };
  } catch (error) {
    if (!(error instanceof Error)) {
      throw error;
    }
    if (error.name === "WorkflowExecutionAlreadyStartedError") {
      const { runId } = await within(START_TIMEOUT_MS, () => client.workflow.getHandle(workflowId).describe());
      return { workflowId, runId, wasRunning: true };
    }
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    if (/search attribute/i.test(reason)) {
      const names = SEARCH_ATTRIBUTES.map(({ name }) => name).join(", ");
      throw new SearchAttributesMissing(namespace, names, error);
    }
    throw new ClientError(EXIT.unreachable, `Temporal did not start pool ${pool}: ${reason}`, null, { cause: error });
  }
}

/** The Temporal worker registers them when it starts. */
export class SearchAttributesMissing extends ClientError {
  constructor(namespace: string, names: string, cause: Error) {
    super(
      EXIT.failed,
      `Temporal namespace ${namespace} lacks the search attributes ${names}`,
      "Start a Temporal worker once (it registers them), or add them as Keyword; then try again.",
      { cause },
    );
  }
}
