import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import type { Tracing } from "./tracing/tracing.ts";

/**
 * The workflows' code as the sandbox runs it, with the payload converter that accepts malformed messages of operators and
 * the interceptor that takes many signals at once.
 * Everything that runs or replays workflows must use it.
 * @param entry module with the workflows; default: src/workflows/index.ts.
 * @param tracing adds what traces them.
 */
export async function bundleWorkflows(entry?: URL, tracing: Tracing | null = null): Promise<{ code: string }> {
  const file = (name: string) => new URL(`../workflows/${name}${extname(import.meta.url)}`, import.meta.url);
  const more = tracing?.modules ?? [];
  return await bundleWorkflowCode({
    workflowsPath: fileURLToPath(entry ?? file("index")),
    payloadConverterPath: fileURLToPath(file("payload-converter")),
    workflowInterceptorModules: [...["signals", "interceptors"].map((name) => fileURLToPath(file(name))), ...more],
    plugins: tracing === null ? [] : [tracing.plugin],
    logger: new DefaultLogger("WARN"),
  });
}
