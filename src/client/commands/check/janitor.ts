import { randomUUID } from "node:crypto";
import { loadConfig } from "../../../config/config.ts";
import {
  JANITOR_WORKFLOW,
  type JanitorInput,
  type JanitorResult,
  janitorScheduleId,
  type PoolFinding,
  type WorkerFinding,
} from "../../../contract/upkeep.ts";
import type { Context } from "../../context.ts";
import type { JsonOptions } from "../../options.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain, type Style } from "../../render/output.ts";
import { renderTable } from "../../render/table.ts";

const ROUND_TIMEOUT_MS = 120_000;
const START_TIMEOUT_MS = 15_000;

export interface JanitorOptions extends JsonOptions {
  readonly dryRun?: boolean;
}

/** @throws ClientError where a repair failed, a source could not be read, or no Temporal worker runs */
export async function runJanitor(context: Context, { dryRun = false, json = false }: JanitorOptions): Promise<void> {
  const { output } = context;
  const result = await runRound(context, dryRun);
  const problems = problemsOf(result);
  if (json) {
    output.printJson({ dryRun, ...result, problems });
  } else {
    output.print(renderRound(result, dryRun, output.size().columns, output.style));
  }
  if (problems.length > 0) {
    const advice = "What could not be read led to no conclusion. The next round tries again.";
    throw new ClientError(EXIT.failed, `janitor: ${problems.map(plain).join("; ")}`, advice);
  }
}

/** Runs the workflow of the Schedule beside it; two rounds at once do no harm. */
async function runRound(context: Context, dryRun: boolean): Promise<JanitorResult> {
  const { taskQueue } = loadConfig(context.env, { need: [] }).temporal;
  const { client, within } = await context.connections.temporal();
  const args: [JanitorInput] = [{ taskQueue, dryRun }];
  const workflowId = `${janitorScheduleId(taskQueue)}/by-hand-${randomUUID().slice(0, 8)}`;
  const handle = await within(START_TIMEOUT_MS, () =>
    client.workflow.start<(input: JanitorInput) => Promise<JanitorResult>>(JANITOR_WORKFLOW, {
      workflowId,
      taskQueue,
      args,
      // Without a Temporal worker the round must not run hours later.
      workflowExecutionTimeout: "4m",
    }),
  ).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ClientError(EXIT.unreachable, `janitor: Temporal did not start the round: ${reason}`, null, {
      cause: error,
    });
  });
  try {
    return await within(ROUND_TIMEOUT_MS, () => handle.result());
  } catch (error) {
    const isFailure = error instanceof Error && error.name === "WorkflowFailedError";
    if (isFailure) {
      throw new ClientError(EXIT.failed, `janitor: the round failed: ${error.message}`, null, { cause: error });
    }
    throw new ClientError(
      EXIT.unreachable,
      `janitor: the round did not end within ${ROUND_TIMEOUT_MS / 1000} s`,
      `Is a Temporal worker running for task queue ${taskQueue}? The round is workflow ${workflowId}.`,
      { cause: error },
    );
  }
}

/** Repairs that failed, and sources that could not be read. */
function problemsOf({ repairs, workers, pools }: JanitorResult): string[] {
  const failed = Object.entries(repairs).flatMap(([name, outcome]) =>
    outcome.startsWith("failed: ") ? [`${name}: ${outcome.slice("failed: ".length)}`] : [],
  );
  const silent = (pools ?? []).filter(({ verdict }) => verdict === "unknown");
  return [
    ...failed,
    ...(workers?.failed ?? []),
    ...(workers?.unknown ?? []).map((problem) => `not known: ${problem}`),
    ...silent.map(({ pool, reason }) => `pool ${pool}: ${reason}`),
  ];
}

/** A round as lines of at most `width` characters. */
export function renderRound(
  { repairs, workers, pools }: JanitorResult,
  dryRun: boolean,
  width: number,
  style: Style,
): string[] {
  const findings = workers?.findings ?? [];
  return [
    ...(findings.length === 0 ? ["no pod, no living worker, no worker workflow"] : workerTable(findings, width, style)),
    ...(workers !== null && workers.leftOut > 0 ? [style("dim", `and ${workers.leftOut} more that agree`)] : []),
    "",
    ...((pools ?? []).length === 0 ? ["no pool"] : poolTable(pools ?? [], width, style)),
    "",
    ...Object.entries(repairs).map(([name, outcome]) => `${style("dim", name.padEnd(14))}${plain(outcome)}`),
    ...(dryRun ? ["", "nothing was changed"] : []),
  ];
}

function workerTable(findings: readonly WorkerFinding[], width: number, style: Style): string[] {
  const shown = (value: string | null) => plain(value ?? "–");
  return renderTable(
    [
      { title: "pod", value: ({ pod }) => shown(pod) },
      { title: "worker", value: ({ worker }) => shown(worker) },
      { title: "row", value: ({ row }) => shown(row) },
      { title: "workflow", value: ({ workflow }) => shown(workflow) },
      {
        title: "verdict",
        value: ({ verdict }) => inWords(verdict),
        paint: ({ verdict }, text) => colour(verdict, text, style),
      },
      { title: "reason", value: ({ reason }) => plain(reason) },
    ],
    findings,
    width,
    style,
  );
}

function poolTable(findings: readonly PoolFinding[], width: number, style: Style): string[] {
  return renderTable(
    [
      { title: "pool", value: ({ pool }) => plain(pool) },
      { title: "row", value: ({ row }) => plain(row) },
      { title: "workflow", value: ({ workflow }) => plain(workflow ?? "–") },
      {
        title: "verdict",
        value: ({ verdict }) => inWords(verdict),
        paint: ({ verdict }, text) => colour(verdict, text, style),
      },
      { title: "reason", value: ({ reason }) => plain(reason) },
    ],
    findings,
    width,
    style,
  );
}

function inWords(verdict: string): string {
  return verdict.replaceAll("_", " ");
}

function colour(verdict: string, text: string, style: Style): string {
  if (verdict === "kept") {
    return style("green", text);
  }
  return style(verdict === "wait" || verdict === "not_ours" ? "yellow" : "red", text);
}
