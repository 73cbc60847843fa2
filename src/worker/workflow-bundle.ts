import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";

/**
 * The code of the workflows as the sandbox runs it, with the converter that survives whatever operators send. All that
 * runs or replays workflows takes it from here.
 * @param entry another module to take the workflows from.
 */
export async function bundleWorkflows(entry?: URL): Promise<{ code: string }> {
  const file = (name: string) => new URL(`../workflows/${name}${extname(import.meta.url)}`, import.meta.url);
  return await bundleWorkflowCode({
    workflowsPath: fileURLToPath(entry ?? file("index")),
    payloadConverterPath: fileURLToPath(file("payload-converter")),
    logger: new DefaultLogger("WARN"),
  });
}
