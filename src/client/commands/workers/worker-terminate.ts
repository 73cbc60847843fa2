import type { Command } from "commander";
import { addExamples, type Context } from "../../context.ts";
import { asWorkerOrder } from "./order-worker.ts";

export function addWorkerTerminateCommand(worker: Command, context: Context): void {
  const terminate = asWorkerOrder(worker.command("terminate").alias("remove"), context, "terminate").description(
    "end a worker now; its task goes back to the queue, uncounted",
  );
  addExamples(terminate, [
    ["gpu-pool worker terminate main-0a1b2c3d", "its pod is deleted and seen to be gone"],
    ["gpu-pool worker terminate box-one", "its registration and its token end; its machine is left alone"],
  ]);
}
