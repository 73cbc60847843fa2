import type { Command } from "commander";
import { addExamples, type Context } from "../../context.ts";
import { asWorkerOrder } from "./order-worker.ts";

export function addWorkerDrainCommand(worker: Command, context: Context): void {
  const drain = asWorkerOrder(worker.command("drain"), context, "drain").description(
    "let a worker finish its task, then end it",
  );
  addExamples(drain, [
    ["gpu-pool worker drain main-0a1b2c3d", "the pool books another if it needs one"],
    ["gpu-pool worker drain box-one --reason 'its owner is back'", "a machine that the pool did not rent"],
  ]);
}
