import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { addWorkerDrainCommand } from "./worker-drain.ts";
import { addWorkerRunCommand } from "./worker-run.ts";
import { addWorkerTerminateCommand } from "./worker-terminate.ts";
import { addWorkerTokenCommand } from "./worker-token.ts";

export function addWorkerCommand(program: Command, context: Context): void {
  const worker = program.command("worker").description("single GPU workers: the pool's own, and external ones");
  addWorkerRunCommand(worker, context);
  addWorkerTokenCommand(worker, context);
  addWorkerDrainCommand(worker, context);
  addWorkerTerminateCommand(worker, context);
}
