import type { Command } from "commander";
import { poolUpdates } from "../../../contract/pool-api.ts";
import { addExamples, type Context, jsonOption, poolOption } from "../../context.ts";
import { orderAction } from "./order.ts";

export function addResumeCommand(program: Command, context: Context): void {
  const resume = program
    .command("resume")
    .description("end a drain or a pause, and close the breaker; a hold stays")
    .addOption(poolOption())
    .addOption(jsonOption());
  orderAction(resume, context, poolUpdates.resume);
  addExamples(resume, [
    ["gpu-pool resume", "back to normal; gpu-pool scale auto ends a hold"],
    ["gpu-pool resume --json", "print what now holds as JSON"],
  ]);
}
