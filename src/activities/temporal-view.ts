import type { Client } from "@temporalio/client";
import { WorkflowNotFoundError } from "@temporalio/common";
import { WORKER_WORKFLOW } from "../contract/names.ts";
import { POD_JOB_WORKFLOW } from "../contract/pod-job.ts";
import type { StockWorkflow } from "../policy/reconcile.ts";

const WORKER_ID = /^gpu-pool\/([^/]+)\/worker\/([^/]+)$/;

/** A workflow as the server has it now: missing where there is none. */
export interface WorkflowState {
  readonly state: "running" | "foreign" | "closed" | "missing";
  /** In words: running, terminated, failed, …, none. */
  readonly status: string;
}

/** By worker id: the open workflows of workers and jobs of this task queue. The server's list may be some seconds old. */
export async function openWorkerWorkflows(client: Client, taskQueue: string): Promise<Map<string, StockWorkflow>> {
  const open = new Map<string, StockWorkflow>();
  const query = `WorkflowType IN ("${WORKER_WORKFLOW}", "${POD_JOB_WORKFLOW}") AND ExecutionStatus = "Running" AND TaskQueue = "${taskQueue}"`;
  for await (const { workflowId } of client.workflow.list({ query })) {
    const [, pool, worker] = WORKER_ID.exec(workflowId) ?? [];
    if (pool !== undefined && worker !== undefined) {
      open.set(worker, { pool, state: "running", status: "running" });
    }
  }
  return open;
}

/** @throws where Temporal does not answer; that is no evidence. */
export async function workflowState(client: Client, workflowId: string, taskQueue: string): Promise<WorkflowState> {
  try {
    const { status, taskQueue: servedBy } = await client.workflow.getHandle(workflowId).describe();
    const words = status.name.toLowerCase().replaceAll("_", " ");
    if (status.name !== "RUNNING") {
      return { state: "closed", status: words };
    }
    return { state: servedBy === taskQueue ? "running" : "foreign", status: words };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      return { state: "missing", status: "none" };
    }
    throw error;
  }
}
