import type { Command } from "commander";
import { addExamples, type Context, jsonOption, poolOption } from "./context.ts";
import { orderAction } from "./order.ts";

export function addResumeCommand(program: Command, context: Context): void {
  const resume = program
    .command("resume")
    .description("end a drain or a pause")
    .addOption(poolOption())
    .addOption(jsonOption());
  orderAction(resume, context, "resume");
  addExamples(resume, [
    ["gpu-pool resume", "back to normal"],
    ["gpu-pool resume --json", "print what now holds as JSON"],
  ]);
}
