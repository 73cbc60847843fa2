import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkflowHandle } from "@temporalio/client";
import { loadConfig } from "../../config/config.ts";
import { DEPLOYMENT } from "../../contract/deployment.ts";
import {
  POD_JOB_WORKFLOW,
  type PodJobOrder,
  type PodJobResult,
  podJobStart,
  type PodJobWorkflow,
} from "../../contract/pod-job.ts";
import { workerWorkflowId } from "../../contract/names.ts";
import type { Database } from "../../supabase/client.ts";
import { type JobRecord, jobStore } from "../../supabase/jobs/job-store.ts";
import type { Context } from "../context.ts";
import { ClientError, EXIT } from "../errors.ts";

const START_TIMEOUT_MS = 15_000;
const LOOK_MS = 1_000;
/** Without a row after this long, no Temporal worker has taken the job. */
const TAKEN_WITHIN_MS = 15_000;

export interface EndedJob {
  readonly id: string;
  readonly result: PodJobResult;
  /** As it ended; null: nothing was rented. */
  readonly record: JobRecord | null;
}

/** Starts the workflow of a job. From then on it needs this process no more. @returns the pod's name */
export async function startJob(context: Context, pool: string, order: PodJobOrder): Promise<string> {
  const { taskQueue } = loadConfig(context.env, { need: [] }).temporal;
  const { client, within } = await context.connections.temporal();
  const deployment = await context.connections.deployment();
  const id = `${pool}-${randomBytes(4).toString("hex")}`;
  const memo = deployment === null ? {} : { memo: { [DEPLOYMENT]: deployment } };
  await within(START_TIMEOUT_MS, () =>
    client.workflow.start<PodJobWorkflow>(POD_JOB_WORKFLOW, { ...podJobStart(pool, id, order), ...memo, taskQueue }),
  ).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ClientError(EXIT.unreachable, `Temporal did not start the job: ${reason}`, "Try again.", {
      cause: error,
    });
  });
  return id;
}

/**
 * Watches a job until its pod is gone.
 * @param show is given each state of the job that differs from the one before
 */
export async function followJob(
  context: Context,
  database: Database,
  job: { readonly pool: string; readonly id: string },
  show: (record: JobRecord) => void,
): Promise<EndedJob> {
  const { pool, id } = job;
  const { client } = await context.connections.temporal();
  const handle = client.workflow.getHandle<PodJobWorkflow>(workerWorkflowId(pool, id));
  const ended = resultOf(handle, id);
  const begunMs = Date.now();
  let shown = "";
  let record: JobRecord | null = null;
  let toldMs = 0;
  for (;;) {
    const result = await Promise.race([ended, sleep(LOOK_MS, null)]);
    record = await jobStore(database)
      .find(id)
      .catch(() => record);
    const now = JSON.stringify([record?.report, record?.workers.boot_stage, record?.state]);
    if (record !== null && now !== shown) {
      shown = now;
      show(record);
    }
    if (result !== null) {
      return { id, result, record };
    }
    if (record === null && toldMs === 0 && Date.now() - begunMs > TAKEN_WITHIN_MS) {
      toldMs = Date.now();
      context.output.note("no Temporal worker has taken the job yet; it begins as soon as one runs");
    }
  }
}

/** A workflow that was cancelled or terminated has no answer of its own. */
async function resultOf(handle: WorkflowHandle<PodJobWorkflow>, id: string): Promise<PodJobResult> {
  try {
    return await handle.result();
  } catch (error) {
    if (error instanceof Error && error.name === "WorkflowFailedError") {
      const reason = error.cause instanceof Error ? error.cause.message : error.message;
      return { id, state: "failed", reason };
    }
    throw error;
  }
}

/** How to end the job before its time. The pool itself need not run. */
export function howToEnd(pool: string, id: string): string {
  return `Ctrl-C ends only the watching. To end the job: temporal workflow cancel -w ${workerWorkflowId(pool, id)}`;
}

/** How far the job is, in one line. */
export function jobInWords({ report, state, workers }: Pick<JobRecord, "report" | "state" | "workers">): string {
  const said = report as Readonly<Record<string, unknown>>;
  if (state !== "running") {
    return `${state}; its pod is being deleted`;
  }
  if (typeof said["name"] !== "string") {
    return `pod ${workers.pod_id ?? "not there yet"}: ${workers.boot_stage}`;
  }
  const step = `step ${String(said["step"])} of ${String(said["steps"])}: ${said["name"]}`;
  const { bytes, totalBytes, file } = said;
  return typeof bytes === "number" && typeof totalBytes === "number"
    ? `${step}, ${gb(bytes)} of ${gb(totalBytes)} GB${typeof file === "string" && file !== "" ? ` (${file})` : ""}`
    : step;
}

function gb(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
