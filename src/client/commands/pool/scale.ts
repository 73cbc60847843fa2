import { type Command, InvalidArgumentError } from "commander";
import { poolQueries, poolUpdates, type ScaleRequest } from "../../../contract/pool-api.ts";
import { settingsAt } from "../../../policy/schedule.ts";
import { addExamples, type Context, jsonOption, poolName, poolOption, type PoolOptions } from "../../context.ts";
import { parseDurationSec } from "../../render/durations.ts";
import { askPool, updatePool } from "../../pool-workflow.ts";
import { describeIntent } from "../../render/intent.ts";

const MAX_TARGET = 10_000;

export function addScaleCommand(program: Command, context: Context): void {
  const scale = program
    .command("scale")
    .description("hold the pool at a size, or give control back to the policy")
    .argument("<n|auto>", "number of GPUs, or auto", parseTarget)
    .option("--for <duration>", "how long, such as 90s, 30m, 2h; else until the next order", parseFor)
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (target: number | "auto", options: PoolOptions & { for?: number }, command: Command) => {
      if (target === "auto" && options.for !== undefined) {
        command.error("error: --for goes with a number: auto has no end");
      }
      const request = { target: target === "auto" ? null : target, ...(options.for && { for: options.for }) };
      await giveOrder(context, options, request);
    });
  addExamples(scale, [
    ["gpu-pool scale 3", "three GPUs until further notice"],
    ["gpu-pool scale 5 --for 30m", "five GPUs for half an hour"],
    ["gpu-pool scale auto", "let the policy decide again"],
  ]);
}

/** Prints the hold that stands from now on, and the bound that caps it. */
async function giveOrder(context: Context, options: PoolOptions, request: ScaleRequest): Promise<void> {
  const pool = poolName(context, options);
  const intent = await updatePool(context, pool, poolUpdates.scale.name, (workflow) =>
    workflow.executeUpdate(poolUpdates.scale, { args: [request] }),
  );
  const max = await maxInForce(context, pool);
  const cappedAt = max !== null && intent.hold !== null && intent.hold > max ? max : null;
  if (options.json) {
    context.output.printJson({ pool, ...intent, cappedAt });
  } else {
    const capped = cappedAt === null ? "" : `; capped by MAX at ${cappedAt}`;
    context.output.print(`pool ${pool}: ${describeIntent(intent, Date.now())}${capped}`);
  }
}

/** MAX as it is now; null: the pool's controller does not know its settings yet. */
async function maxInForce(context: Context, pool: string): Promise<number | null> {
  const asked = await askPool(context.connections, pool, poolQueries.config);
  const values = asked.state === "answers" ? asked.answer.settings?.values : undefined;
  return values === undefined ? null : settingsAt(values, Date.now()).settings.maxActiveGpus;
}

export function parseTarget(text: string): number | "auto" {
  if (text === "auto") {
    return text;
  }
  const target = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (target > MAX_TARGET) {
    throw new InvalidArgumentError(`Expected a whole number from 0 to ${MAX_TARGET}, or auto.`);
  }
  return target;
}

function parseFor(text: string): number {
  try {
    return parseDurationSec(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
