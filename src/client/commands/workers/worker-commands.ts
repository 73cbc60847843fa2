import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { addExamples, jsonOption, poolOption } from "../../options.ts";
import type { ExternalWorkerOptions } from "./external-worker.ts";
import type { OrderOptions } from "./order-worker.ts";

export function addWorkerCommands(program: Command, context: Context): void {
  const worker = program.command("worker").description("single GPU workers: the pool's own, and external ones");
  addRun(worker, context);
  addToken(worker, context);
  addDrain(worker, context);
  addTerminate(worker, context);
}

function addRun(worker: Command, context: Context): void {
  const run = worker
    .command("run")
    .description("work on this machine for a pool, until Ctrl-C or until it is drained")
    .option("--id <id>", "the worker's id, used once (default: a random one)")
    .addOption(poolOption())
    .action(async (options: ExternalWorkerOptions) => {
      const { runWorker } = await import("./worker-run.ts");
      await runWorker(context, options);
    });
  addExamples(run, [["gpu-pool worker run --pool nightly", "this machine counts as one of the pool's GPUs"]]);
}

function addToken(worker: Command, context: Context): void {
  const token = worker
    .command("token")
    .description("print the environment with which a GPU worker on another machine joins a pool; it is shown once")
    .option("--id <id>", "the worker's id, used once (default: a random one)")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: ExternalWorkerOptions) => {
      const { printToken } = await import("./worker-token.ts");
      await printToken(context, options);
    });
  addExamples(token, [["gpu-pool worker token > worker.env", "for the GPU worker on that machine"]]);
}

function addDrain(worker: Command, context: Context): void {
  const drain = worker
    .command("drain")
    .description("let a worker finish its task, then end it")
    .argument("<id>", "as gpu-pool status shows it")
    .option("--reason <text>", "why, for the journal")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (id: string, options: OrderOptions) => {
      const { orderWorker } = await import("./order-worker.ts");
      await orderWorker(context, "drain", id, options);
    });
  addExamples(drain, [
    ["gpu-pool worker drain main-0a1b2c3d", "the pool books another if it needs one"],
    ["gpu-pool worker drain box-one --reason 'its owner is back'", "a machine that the pool did not rent"],
  ]);
}

function addTerminate(worker: Command, context: Context): void {
  const terminate = worker
    .command("terminate")
    .alias("remove")
    .description("end a worker now; its task goes back to the queue, uncounted")
    .argument("<id>", "as gpu-pool status shows it")
    .option("--reason <text>", "why, for the journal")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (id: string, options: OrderOptions) => {
      const { orderWorker } = await import("./order-worker.ts");
      await orderWorker(context, "terminate", id, options);
    });
  addExamples(terminate, [
    ["gpu-pool worker terminate main-0a1b2c3d", "its pod is deleted and seen to be gone"],
    ["gpu-pool worker terminate box-one", "its registration and its token end; its machine is left alone"],
  ]);
}
