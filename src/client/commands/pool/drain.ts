import type { Command } from "commander";
import { poolUpdates } from "../../../contract/pool-api.ts";
import { addExamples, type Context, jsonOption, poolOption } from "../../context.ts";
import { orderAction } from "./order.ts";

export function addDrainCommand(program: Command, context: Context): void {
  const drain = program
    .command("drain")
    .description("take the pool to zero: running tasks are finished first; it stays there until resumed")
    .addOption(poolOption())
    .addOption(jsonOption());
  orderAction(drain, context, poolUpdates.drain);
  addExamples(drain, [
    ["gpu-pool drain", "no new work, then no pods"],
    ["gpu-pool drain --pool nightly", "another pool"],
  ]);
}
