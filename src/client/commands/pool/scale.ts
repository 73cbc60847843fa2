import { type Command, InvalidArgumentError } from "commander";
import { addExamples, type Context, jsonOption, poolOption, type PoolOptions } from "../../context.ts";
import { parseDurationSec } from "../../render/durations.ts";
import { giveOrder } from "./order.ts";

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
      await giveOrder(context, options, { kind: "scale", payload: request });
    });
  addExamples(scale, [
    ["gpu-pool scale 3", "three GPUs until further notice"],
    ["gpu-pool scale 5 --for 30m", "five GPUs for half an hour"],
    ["gpu-pool scale auto", "let the policy decide again"],
  ]);
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
