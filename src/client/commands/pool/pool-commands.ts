import { type Command, InvalidArgumentError } from "commander";
import type { Context } from "../../context.ts";
import {
  addExamples,
  durationSec,
  jsonOption,
  type JsonOptions,
  poolOption,
  type PoolOptions,
  wholeNumber,
} from "../../options.ts";
import { addSettingCommands } from "./setting-commands.ts";
import type { ShutdownAllOptions } from "./shutdown-all.ts";
import type { StartOptions } from "./pool-start.ts";
import type { SpawnOptions } from "./spawn.ts";

const MAX_TARGET = 10_000;

export function addPoolCommands(program: Command, context: Context): void {
  addPool(program, context);
  addScale(program, context);
  addSpawn(program, context);
  addDrain(program, context);
  addResume(program, context);
  addPause(program, context);
  addShutdown(program, context);
  addShutdownAll(program, context);
  addSettingCommands(program, context);
  addCycle(program, context);
}

function addPool(program: Command, context: Context): void {
  const pool = program.command("pool").description("start, show and end a pool, list the pools");
  const start = pool
    .command("start")
    .description("start the workflow that keeps a pool; says what it rents, and asks on a terminal")
    .argument("[pool]", "its name, instead of --pool")
    .option("--config <json>", "settings of this pool, over those of the environment and kept in its row")
    .option("-y, --yes", "do not ask")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (name: string | undefined, options: StartOptions) => {
      const [{ openPool }, { withNamed }] = await Promise.all([
        import("./pool-start.ts"),
        import("../../pool-name.ts"),
      ]);
      await openPool(context, withNamed(options, name));
    });
  addExamples(start, [
    ["gpu-pool pool start", "start the pool main"],
    ['gpu-pool pool start --config \'{"maxActiveGpus":4,"scaleDownIdleSec":30}\'', "with settings of its own"],
    ["gpu-pool pool start --pool nightly --json", "another pool; print the run's ids"],
  ]);
  addList(pool, context);
  addShow(pool, context);
  addPoolShutdown(pool, context);
}

function addShow(pool: Command, context: Context): void {
  const show = pool
    .command("show")
    .description("one pool: its size, its queue, its controller, and the settings of its own with who set them")
    .argument("[pool]", "its name, instead of --pool")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (name: string | undefined, options: PoolOptions) => {
      const [{ showPool }, { withNamed }] = await Promise.all([import("./show-pool.ts"), import("../../pool-name.ts")]);
      await showPool(context, withNamed(options, name));
    });
  addExamples(show, [
    ["gpu-pool pool show nightly", "how it is, and what it was told"],
    ["gpu-pool pool show --json | jq .ownSettings", "for programs"],
  ]);
}

function addPoolShutdown(pool: Command, context: Context): void {
  const shutdown = declareShutdown(pool, context, "the same as gpu-pool shutdown");
  addExamples(shutdown, [["gpu-pool pool shutdown nightly --wait", "until no pod is left"]]);
}

function addList(pool: Command, context: Context): void {
  const list = pool
    .command("list")
    .description("every pool that was ever started, with its queue and its workers")
    .addOption(jsonOption())
    .action(async (options: JsonOptions) => {
      const { listPools } = await import("./list-pools.ts");
      await listPools(context, options);
    });
  addExamples(list, [["gpu-pool pool list", "which pools are there?"]]);
}

function addScale(program: Command, context: Context): void {
  const scale = program
    .command("scale")
    .description("hold the pool at a size, or give control back to the policy")
    .argument("<n|auto>", "number of GPUs, or auto", parseTarget)
    .option("--for <duration>", "how long, such as 90s, 30m, 2h; else until the next order", durationSec)
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (target: number | "auto", options: PoolOptions & { for?: number }, command: Command) => {
      if (target === "auto" && options.for !== undefined) {
        command.error("error: --for goes with a number: auto has no end");
      }
      const { scalePool } = await import("./scale.ts");
      const request = { target: target === "auto" ? null : target, ...(options.for && { for: options.for }) };
      await scalePool(context, options, request);
    });
  addExamples(scale, [
    ["gpu-pool scale 3", "three GPUs until further notice"],
    ["gpu-pool scale 5 --for 30m", "five GPUs for half an hour"],
    ["gpu-pool scale auto", "let the policy decide again"],
  ]);
}

function parseTarget(text: string): number | "auto" {
  if (text === "auto") {
    return text;
  }
  const target = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (target > MAX_TARGET) {
    throw new InvalidArgumentError(`Expected a whole number from 0 to ${MAX_TARGET}, or auto.`);
  }
  return target;
}

function addSpawn(program: Command, context: Context): void {
  const spawn = program
    .command("spawn")
    .description("hold the pool at a larger size than it has now")
    .argument("[n]", "how many workers more", wholeNumber(1, MAX_TARGET), 1)
    .option("--for <duration>", "how long, such as 90s, 30m, 2h; else until the next order", durationSec)
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (count: number, options: SpawnOptions) => {
      const { spawnWorkers } = await import("./spawn.ts");
      await spawnWorkers(context, count, options);
    });
  addExamples(spawn, [
    ["gpu-pool spawn", "one worker more; gpu-pool scale auto ends the hold"],
    ["gpu-pool spawn 3 --for 1h", "three more for an hour"],
  ]);
}

function addDrain(program: Command, context: Context): void {
  const drain = program
    .command("drain")
    .description("take the pool to zero: running tasks are finished first; it stays there until resumed")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions) => {
      const { giveOrder } = await import("./order.ts");
      await giveOrder(context, options, "drain");
    });
  addExamples(drain, [
    ["gpu-pool drain", "no new work, then no pods"],
    ["gpu-pool drain --pool nightly", "another pool"],
  ]);
}

function addResume(program: Command, context: Context): void {
  const resume = program
    .command("resume")
    .description("end a drain or a pause, and close the breaker; a hold stays")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions) => {
      const { giveOrder } = await import("./order.ts");
      await giveOrder(context, options, "resume");
    });
  addExamples(resume, [
    ["gpu-pool resume", "back to normal; gpu-pool scale auto ends a hold"],
    ["gpu-pool resume --json", "print what now holds as JSON"],
  ]);
}

function addPause(program: Command, context: Context): void {
  const pause = program
    .command("pause")
    .description("no scaling either way until resumed; failed workers are still removed")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions) => {
      const { giveOrder } = await import("./order.ts");
      await giveOrder(context, options, "pause");
    });
  addExamples(pause, [
    ["gpu-pool pause", "keep the present size"],
    ["gpu-pool pause --pool nightly", "another pool"],
  ]);
}

function addShutdown(program: Command, context: Context): void {
  const shutdown = declareShutdown(
    program,
    context,
    "drain every worker, see every pod gone, then end the pool's workflow",
  );
  addExamples(shutdown, [
    ["gpu-pool shutdown --wait", "until no pod is left"],
    ["gpu-pool shutdown --pool nightly", "another pool; do not wait"],
  ]);
}

function declareShutdown(parent: Command, context: Context, description: string): Command {
  return parent
    .command("shutdown")
    .description(description)
    .argument("[pool]", "its name, instead of --pool")
    .option("--wait", "until it has ended; progress goes to stderr")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (name: string | undefined, options: PoolOptions & { wait?: boolean }) => {
      const [{ shutDown }, { withNamed }] = await Promise.all([import("./shutdown.ts"), import("../../pool-name.ts")]);
      await shutDown(context, withNamed(options, name));
    });
}

function addShutdownAll(program: Command, context: Context): void {
  const all = program
    .command("shutdown-all")
    .description("drain every pool until no pod is left; nothing comes back until each pool is resumed; asks first")
    .option("--dry-run", "only say what would be drained")
    .option("-y, --yes", "do not ask")
    .option("--no-wait", "do not wait until the pods are gone")
    .addOption(jsonOption())
    .action(async (options: ShutdownAllOptions) => {
      const { shutDownAll } = await import("./shutdown-all.ts");
      await shutDownAll(context, options);
    });
  addExamples(all, [
    ["gpu-pool shutdown-all --dry-run", "every pool with its workers"],
    ["gpu-pool shutdown-all --yes", "from a script; ends when every pod is seen gone"],
  ]);
}

function addCycle(program: Command, context: Context): void {
  const cycle = program
    .command("cycle")
    .description("one round: observe, decide, perform, end; where a controller keeps the pool, its latest decision")
    .option("--config <json>", "settings of this pool, over those of the environment and kept in its row")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions & { config?: string }) => {
      const { runCycle } = await import("./cycle.ts");
      await runCycle(context, options);
    });
  addExamples(cycle, [
    ["gpu-pool cycle", "from cron, say, where no controller shall run all the time"],
    ["gpu-pool cycle --json | jq .actions", "for programs; docs/schemas/cycle.schema.json describes it"],
  ]);
}
