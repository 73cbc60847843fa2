import { sleep } from "@temporalio/workflow";
import type { GpuPoolInput, GpuWorkerInput, GpuWorkerResult } from "../../../src/contract/inputs.ts";
import type { PodJobInput, PodJobResult } from "../../../src/contract/pod-job.ts";
import type { JanitorInput, JanitorResult, NotificationsInput } from "../../../src/contract/upkeep.ts";
import * as real from "../../../src/workflows/index.ts";

/** The real workflows with a change that running pools and workers do not survive: one more timer. */

export async function gpuPool(input: GpuPoolInput): Promise<void> {
  await sleep("1 second");
  await real.gpuPool(input);
}

export async function gpuWorker(input: GpuWorkerInput): Promise<GpuWorkerResult> {
  await sleep("1 second");
  return await real.gpuWorker(input);
}

export async function podJob(input: PodJobInput): Promise<PodJobResult> {
  await sleep("1 second");
  return await real.podJob(input);
}

export async function notifications(input: NotificationsInput): Promise<void> {
  await sleep("1 second");
  await real.notifications(input);
}

export async function janitor(input: JanitorInput): Promise<JanitorResult> {
  await sleep("1 second");
  return await real.janitor(input);
}
