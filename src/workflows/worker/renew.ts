import { continueAsNew, workflowInfo } from "@temporalio/workflow";
import type { GpuWorkerWorkflow } from "../../contract/inputs.ts";
import type { Life } from "./life.ts";

const FULL_HISTORY = 2_000;

/** Whether the run has so many events that a new one is better: a flood of signals, or a burial of many hours. */
export function isFull({ cancelled }: Life): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  // A run that continued as new could not end as Canceled.
  return !cancelled && (continueAsNewSuggested || historyLength >= FULL_HISTORY);
}

/** Goes on in a new run if this one is full. The new run begins by reading the row, as every run does. */
export async function renewIfFull(life: Life): Promise<void> {
  if (isFull(life)) {
    const { pool, id, order, released, phase } = life;
    const carried = { order, released: released || phase === "burying" };
    await continueAsNew<GpuWorkerWorkflow>({ pool, id, carried });
  }
}
