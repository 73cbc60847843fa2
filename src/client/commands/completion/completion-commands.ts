import { Argument, type Command } from "commander";
import type { Context } from "../../context.ts";
import { addExamples } from "../../options.ts";
import type { Shell } from "./scripts.ts";

const SHELLS = ["bash", "zsh", "fish"];

export function addCompletionCommands(program: Command, context: Context): void {
  const completion = program
    .command("completion")
    .description("print a script with which a shell completes commands, flags and known values")
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .action(async (shell: Shell) => {
      const { printCompletion } = await import("./completion.ts");
      await printCompletion(context, program, shell);
    });
  addExamples(completion, [
    ["source <(gpu-pool completion bash)", "in ~/.bashrc; with zsh in ~/.zshrc"],
    ["gpu-pool completion fish > gpu-pool.fish", "into ~/.config/fish/completions"],
  ]);
}
