import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../../context.ts";
import { addExamples, durationSec, jsonOption, type JsonOptions, poolOption, wholeNumber } from "../../options.ts";
import type { WorkerPhase } from "../../../supabase/reports/worker-list.ts";
import type { ExternalWorkerOptions } from "./external-worker.ts";
import type { WorkersOptions } from "./list-workers.ts";
import type { OrderOptions } from "./order-worker.ts";
import { addWorkerFlags, type WorkerRunFlags } from "./worker-flags.ts";
import type { WorkerLogsOptions } from "./worker-logs.ts";

const PHASES: readonly WorkerPhase[] = ["spawning", "idle", "busy", "terminating", "failing", "gone"];

export function addWorkerCommands(program: Command, context: Context): void {
  addWorkers(program, context);
  const worker = program
    .command("worker")
    .description("one GPU worker, also a dead one: what it printed and did, why it failed; end it, or run one here");
  addRun(worker, context);
  addToken(worker, context);
  addDrain(worker, context);
  addTerminate(worker, context);
  addShow(worker, context);
  addLogs(worker, context);
  addTimeline(worker, context);
  addDiagnostics(worker, context);
}

function addWorkers(program: Command, context: Context): void {
  const workers = program
    .command("workers")
    .description("list GPU workers, the oldest first")
    .option("--pool <name>", "only of this pool (default: of all)")
    .option("--phase <names>", `separated by commas, of ${PHASES.join(", ")}`, parsePhases)
    .option("--gpu <text>", "whose GPU has this in its name, such as 4090")
    .option("--silent <duration>", "without a heartbeat for this time, such as 90s", durationSec)
    .option("--gone <duration>", "also those that went within this time, such as 90s, 30m, 2h", durationSec)
    .option("--limit <n>", "at most this many", wholeNumber(1, 1_000), 200)
    .addOption(jsonOption())
    .action(async (options: WorkersOptions) => {
      const { showWorkers } = await import("./list-workers.ts");
      await showWorkers(context, options);
    });
  addExamples(workers, [
    ["gpu-pool workers", "each with its task, its last heartbeat and its price"],
    ["gpu-pool workers --phase idle,spawning --gpu 4090", "which of these have no task?"],
    ["gpu-pool workers --silent 1m", "which send no heartbeat?"],
    ["gpu-pool workers --gone 2h", "also those that ended lately"],
  ]);
}

function parsePhases(text: string): WorkerPhase[] {
  const aliases: Readonly<Record<string, readonly WorkerPhase[]>> = {
    active: ["idle", "busy"],
    error: ["failing"],
    terminated: ["gone"],
  };
  return text.split(",").flatMap((part) => {
    const name = part.trim().toLowerCase();
    const phases = aliases[name] ?? PHASES.filter((phase) => phase === name);
    if (phases.length === 0) {
      throw new InvalidArgumentError(`Expected some of ${PHASES.join(", ")}, separated by commas.`);
    }
    return [...phases];
  });
}

function addShow(worker: Command, context: Context): void {
  const show = worker
    .command("show")
    .description("its state, its clocks, its cost and its last tasks; also of one that is gone")
    .argument("<id>", "whole, or its beginning")
    .addOption(jsonOption())
    .action(async (id: string, options: JsonOptions) => {
      const { showWorker } = await import("./show-worker.ts");
      await showWorker(context, id, options);
    });
  addExamples(show, [["gpu-pool worker show main-0a1b", "why did it end?"]]);
}

function addLogs(worker: Command, context: Context): void {
  const logs = worker
    .command("logs")
    .description("what its pod wrote, what it logged, and the Temporal worker about it, oldest first")
    .argument("<id>", "whole, or its beginning")
    .option("--limit <n>", "at most this many lines, the newest", wholeNumber(1, 100_000), 100)
    .option("-f, --follow", "keep printing what arrives until Ctrl-C")
    .addOption(new Option("--json", "print one JSON object a line instead of text"))
    .action(async (id: string, options: WorkerLogsOptions) => {
      const { showWorkerLogs } = await import("./worker-logs.ts");
      await showWorkerLogs(context, id, options);
    });
  addExamples(logs, [["gpu-pool worker logs main-0a1b --follow", "until Ctrl-C"]]);
}

function addTimeline(worker: Command, context: Context): void {
  const timeline = worker
    .command("timeline")
    .description("what happened to it, oldest first: its boot, its tasks, when nothing was heard of it, its end")
    .argument("<id>", "whole, or its beginning")
    .addOption(jsonOption())
    .action(async (id: string, options: JsonOptions) => {
      const { showWorkerTimeline } = await import("../../worker-timeline.ts");
      await showWorkerTimeline(context, id, options);
    });
  addExamples(timeline, [["gpu-pool worker timeline main-0a1b", "what did it do, and how did it end?"]]);
}

function addDiagnostics(worker: Command, context: Context): void {
  const diagnostics = worker
    .command("diagnostics")
    .description("what was kept when it failed, what its pod shows now and which commit runs there")
    .argument("<id>", "whole, or its beginning")
    .addOption(jsonOption())
    .action(async (id: string, options: JsonOptions) => {
      const { showDiagnostics } = await import("./worker-diagnostics.ts");
      await showDiagnostics(context, id, options);
    });
  addExamples(diagnostics, [["gpu-pool worker diagnostics main-0a1b", "why does it not work?"]]);
}

function addRun(worker: Command, context: Context): void {
  const run = worker
    .command("run")
    .description("work on this machine until Ctrl-C: for a pool, for a file of tasks, or for one user");
  addWorkerFlags(run);
  run.action(async (options: WorkerRunFlags) => {
    const { runWorker } = await import("./worker-run.ts");
    await runWorker(context, options);
  });
  addExamples(run, [
    ["gpu-pool worker run --pool nightly", "this machine counts as one of the pool's GPUs"],
    ["gpu-pool worker run --db-type sqlite", "the tasks of tasks.db in this folder, without any server"],
    ['gpu-pool worker run --supabase-access-token "$TOKEN"', "the tasks of the token's user only"],
  ]);
}

function addToken(worker: Command, context: Context): void {
  const token = worker
    .command("token")
    .description("print the environment with which a GPU worker on another machine joins a pool; it is shown once")
    .option("--id <id>", "the worker's id, used once (default: a random one)")
    .option(
      "--task-types <names>",
      "what it can do, as in WORKER_TASK_TYPES (default: what its program says, or anything)",
    )
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: ExternalWorkerOptions) => {
      const { printToken } = await import("./worker-token.ts");
      await printToken(context, options);
    });
  addExamples(token, [
    ["gpu-pool worker token > worker.env", "for the GPU worker on that machine"],
    [
      "gpu-pool worker token --task-types headless-wan2gp > worker.env",
      "for a Headless-Wan2GP, which does not say itself",
    ],
  ]);
}

function addDrain(worker: Command, context: Context): void {
  const drain = worker
    .command("drain")
    .description("let a worker finish its task, then end it")
    .argument("<id>", "whole, or its beginning")
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
    .argument("<id>", "whole, or its beginning")
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
