import { setTimeout as delay } from "node:timers/promises";
import type { Client, WorkflowHandle } from "@temporalio/client";
import { inject } from "vitest";
import { PATIENCE_MS } from "../patience.ts";
import { type FakeService, type Stage, startFakeService } from "./fake-service.ts";

const AT_ONCE = 50;
const RETRY_MS = 100;

/** Sends signals in order, some at a time, so that their order in the history is about that of the list. */
export async function flood(
  handle: WorkflowHandle,
  count: number,
  signalAt: (index: number) => readonly [name: string, ...args: unknown[]],
): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) {
    const indexes = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => from + index);
    await Promise.all(
      indexes.map(async (index) => {
        const [name, ...args] = signalAt(index);
        await untilTaken(() => handle.signal(name, ...args));
      }),
    );
  }
}

/** A run that is full refuses signals until it has continued as new, which a busy machine delays. */
async function untilTaken(send: () => Promise<void>): Promise<void> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await send();
    } catch (error) {
      const { cause } = error instanceof Error ? error : {};
      const isFull = cause instanceof Error && cause.message.includes("execution limit for signal events");
      if (!isFull || Date.now() >= deadlineMs) {
        throw error;
      }
      await delay(RETRY_MS);
    }
  }
}

/** A stage that nothing serves before `serve`. */
export async function withLateStage(steps: (stage: Stage, service: FakeService) => Promise<void>): Promise<void> {
  const { temporalAddress: address, workflowBundle: codePath } = inject("shared");
  const service = await startFakeService({ address, bundle: { codePath }, identity: "late", late: true });
  const stage = service.open();
  try {
    await steps(stage, service);
  } finally {
    await stage.close();
    await service.close();
  }
}

/** A handle of whatever run is the current one. */
export function currentRun(temporal: Client, { workflowId }: WorkflowHandle): WorkflowHandle {
  return temporal.workflow.getHandle(workflowId);
}
