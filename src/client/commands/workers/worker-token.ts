import type { Context } from "../../context.ts";
import { type ExternalWorkerOptions, registerExternalWorker } from "./external-worker.ts";

export async function printToken(context: Context, options: ExternalWorkerOptions): Promise<void> {
  const env = await registerExternalWorker(context, options, { needsEngine: false });
  if (options.json) {
    context.output.printJson(env);
    return;
  }
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  context.output.print(lines);
}
