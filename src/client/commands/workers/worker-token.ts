import type { Command } from "commander";
import { addExamples, type Context, jsonOption } from "../../context.ts";
import { type ExternalWorkerOptions, registerExternalWorker, withExternalWorkerOptions } from "./external-worker.ts";

interface TokenOptions extends ExternalWorkerOptions {
  readonly json?: boolean;
}

export function addWorkerTokenCommand(worker: Command, context: Context): void {
  const token = withExternalWorkerOptions(worker.command("token"))
    .description("print the environment with which a GPU worker on another machine joins a pool; it is shown once")
    .addOption(jsonOption())
    .action(async (options: TokenOptions) => await printToken(context, options));
  addExamples(token, [["gpu-pool worker token > worker.env", "for the GPU worker on that machine"]]);
}

async function printToken(context: Context, options: TokenOptions): Promise<void> {
  const env = await registerExternalWorker(context, options);
  if (options.json) {
    context.output.printJson(env);
    return;
  }
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  context.output.print(lines.join("\n"));
}
