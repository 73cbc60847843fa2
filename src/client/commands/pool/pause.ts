import type { Command } from "commander";
import { poolUpdates } from "../../../contract/pool-api.ts";
import { addExamples, type Context, jsonOption, poolOption } from "../../context.ts";
import { orderAction } from "./order.ts";

export function addPauseCommand(program: Command, context: Context): void {
  const pause = program
    .command("pause")
    .description("no scaling either way until resumed; failed workers are still removed")
    .addOption(poolOption())
    .addOption(jsonOption());
  orderAction(pause, context, poolUpdates.pause);
  addExamples(pause, [
    ["gpu-pool pause", "keep the present size"],
    ["gpu-pool pause --pool nightly", "another pool"],
  ]);
}
