import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../../context.ts";
import { addExamples, durationSec, jsonOption, poolOption, wholeNumber } from "../../options.ts";
import type { BacktestOptions } from "./backtest.ts";
import type { SimulationOptions } from "./simulation.ts";

export function addBacktestCommands(program: Command, context: Context): void {
  addBacktest(program, context);
  addAdvise(program, context);
}

function addBacktest(program: Command, context: Context): void {
  const backtest = simulating(
    program
      .command("backtest")
      .description("what settings would have cost, and how long tasks would have waited, by simulation")
      .option("--csv <file>", "the tasks of a file (time, seconds, type) in place of the pool's; - is stdin")
      .option("--generate [load]", "tasks drawn at random in place of the pool's, such as days=7,seed=1")
      .addOption(
        new Option("--set <settings>", "settings to try; give it several times to compare")
          .argParser(collect)
          .default([], "the present ones"),
      ),
  ).action(async (options: BacktestOptions) => {
    const { backtest: run } = await import("./backtest.ts");
    await run(context, options);
  });
  addExamples(backtest, [
    ["gpu-pool backtest", "the last week of the pool by its present settings"],
    ["gpu-pool backtest --set SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0", "by others"],
    ["gpu-pool backtest --csv tasks.csv --boot-sec 90 --svg out.svg", "other tasks, with a picture"],
    ["gpu-pool backtest --generate --set=SCALING_POLICY={threshold,workload}", "two, written by the shell's braces"],
  ]);
}

function addAdvise(program: Command, context: Context): void {
  const advise = simulating(
    program
      .command("advise")
      .description("what other settings would have cost in the last days of the pool, beside the present ones"),
  ).action(async (options: SimulationOptions) => {
    const { advise: run } = await import("./advise.ts");
    await run(context, options);
  });
  addExamples(advise, [
    ["gpu-pool advise", "by the last seven days"],
    ["gpu-pool advise --since 30d --price 0.69", "by a month, in dollars"],
  ]);
}

/** The options that both have. */
function simulating(command: Command): Command {
  return command
    .addOption(
      new Option("--since <duration>", "how far back the pool's history is read, such as 12h or 30d")
        .argParser(durationSec)
        .default(7 * 86_400, "7d"),
    )
    .option("--boot-sec <seconds>", "time of a boot (default: the median of the pool's last, else 120)", above(0))
    .option("--boot-sigma <sigma>", "spread of boots: standard deviation of their logarithm", atLeast(0), 0)
    .option("--price <usd>", "what one worker costs an hour (default: what the pool's last did)", above(0))
    .option(
      "--seed <n>",
      "of what is drawn at random: which resting worker claims, spread boots",
      wholeNumber(0, 2 ** 32 - 1),
      1,
    )
    .option("--svg <file>", "also draw costs, waits, fleet and queue")
    .addOption(poolOption())
    .addOption(jsonOption());
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** @throws InvalidArgumentError from what it returns */
function above(min: number): (text: string) => number {
  return (text) => {
    const value = decimal(text);
    if (!(value > min)) {
      throw new InvalidArgumentError(`Expected a number above ${min}.`);
    }
    return value;
  };
}

function atLeast(min: number): (text: string) => number {
  return (text) => {
    const value = decimal(text);
    if (!(value >= min)) {
      throw new InvalidArgumentError(`Expected a number of at least ${min}.`);
    }
    return value;
  };
}

function decimal(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
}
