import { Context } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import type { CreatedPod } from "../contract/activities.ts";
import { DEPLOYMENT } from "../contract/deployment.ts";
import { WORKER_WORKFLOW, workerWorkflowId } from "../contract/names.ts";
import { POD_JOB_WORKFLOW, podJobStart } from "../contract/pod-job.ts";
import type { WorkerFinding, WorkersReport } from "../contract/upkeep.ts";
import { workerSignals } from "../contract/worker-api.ts";
import { workerStart } from "../contract/worker-start.ts";
import { poolOfName, reconcile, type Stock, type StockPod, type StockWorkflow } from "../policy/reconcile.ts";
import type { ListPodsOutcome } from "../runpod/outcomes.ts";
import { plausiblePrice } from "../runpod/plausible.ts";
import type { Pod } from "../runpod/types.ts";
import type { AlertStore } from "../supabase/alert-store.ts";
import type { DatabaseStock, JanitorStore } from "../supabase/janitor-store.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { beating } from "./beating.ts";
import { ownerOf } from "./pod-request.ts";
import { openWorkerWorkflows, workflowState } from "./temporal-view.ts";

const REPORTED = 500;
const DESCRIBED_AT_ONCE = 20;
/** Pods that an alert names. */
const NAMED = 5;

export interface ReconcilerDeps {
  readonly config: Config;
  /** The id of this database. */
  readonly deployment: string;
  readonly listPods: () => Promise<ListPodsOutcome>;
  readonly janitor: Pick<JanitorStore, "stock" | "sight" | "bury">;
  readonly workers: Pick<WorkerStore, "recordPod">;
  readonly alerts: Pick<AlertStore, "open" | "settle">;
  readonly logger: Logger;
}

/** Its calls are made within activities of the main task queue. */
export interface Reconciler {
  /** Compares all three: the provider's pods, the database's rows and Temporal's workflows. */
  pass(options: { readonly dryRun: boolean }): Promise<WorkersReport>;
  /**
   * Acts on what a watch's own list shows of its pool, without waiting for the next pass.
   * @param fleet as it was known before the list was requested
   */
  note(pool: string, fleet: readonly { readonly podId: string | null }[], list: ListPodsOutcome): Promise<void>;
}

interface Taken {
  readonly stock: Stock;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly unknown: readonly string[];
}

interface Outcome {
  readonly done: string[];
  readonly failed: string[];
  isCapped: boolean;
}

export function createReconciler(deps: ReconcilerDeps): Reconciler {
  return {
    pass: ({ dryRun }) =>
      beating(async () => {
        const taken = await takeStock(deps);
        const findings = reconcile(taken.stock);
        const outcome: Outcome = {
          done: [],
          failed: [],
          isCapped: findings.some(({ verdict }) => verdict === "capped"),
        };
        if (!dryRun) {
          await act(deps, taken, findings, outcome);
          await settleAlerts(deps, taken, findings, outcome);
        }
        const isQuiet = ({ verdict }: WorkerFinding) => verdict === "kept";
        const sorted = [...findings.filter((one) => !isQuiet(one)), ...findings.filter(isQuiet)];
        const { done, failed } = outcome;
        const leftOut = Math.max(0, sorted.length - REPORTED);
        return { findings: sorted.slice(0, REPORTED), leftOut, unknown: taken.unknown, done, failed };
      }),

    async note(pool, fleet, list) {
      const recorded = new Set(fleet.map(({ podId }) => podId));
      const strange = (list.kind === "complete" ? list.pods : []).filter((pod) => {
        const { id, name, isMarked, isTerminated } = stockPod(deps.deployment, pod);
        return isMarked && !isTerminated && !recorded.has(id) && poolOfName([pool], name) !== null;
      });
      if (strange.length > 0) {
        const names = strange.flatMap((pod) => nameOf(pod) ?? []);
        const database = await deps.janitor.stock(names, false);
        const taken = { ...combined(deps, strange, null, database), unknown: [] };
        const findings = reconcile(taken.stock).filter(({ pod }) => pod !== null);
        await act(deps, taken, findings, { done: [], failed: [], isCapped: false });
      }
    },
  };
}

/** Pods first, rows last: a pod that is listed had its row before, and a row that is read may have its workflow later. */
async function takeStock(deps: ReconcilerDeps): Promise<Taken> {
  const { client, info } = Context.current();
  const unknown: string[] = [];
  const heard = async <T>(what: string, read: () => Promise<T>): Promise<T | null> => {
    try {
      return await read();
    } catch (error) {
      unknown.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  };
  const list = await heard("the provider's pods", async () => {
    const answer = await deps.listPods();
    if (answer.kind === "unknown") {
      throw new Error(answer.detail);
    }
    return answer.pods;
  });
  const open = await heard("Temporal's open workflows", () => openWorkerWorkflows(client, info.taskQueue));
  const names = [...(list ?? []).flatMap((pod) => nameOf(pod) ?? []), ...(open?.keys() ?? [])];
  const database = await deps.janitor.stock([...new Set(names)], true);
  const workflows = new Map(open ?? []);
  const living = database.rows.filter(({ gone, origin }) => !gone && origin !== "external");
  const asked = new Map([
    ...living.map(({ id, pool }) => [id, pool] as const),
    ...[...workflows].map(([worker, { pool }]) => [worker, pool] as const),
  ]);
  const problem = await describeAll(client, info.taskQueue, asked, workflows);
  unknown.push(...(problem === null ? [] : [problem]));
  return { ...combined(deps, list, workflows, database), unknown };
}

/**
 * Asks for each workflow itself, because Temporal's list of open workflows may be some seconds old. One that does not
 * answer is left out: nothing is known of it. @returns the last problem
 */
async function describeAll(
  client: Client,
  taskQueue: string,
  asked: ReadonlyMap<string, string>,
  known: Map<string, StockWorkflow>,
): Promise<string | null> {
  const workers = [...asked];
  let problem: string | null = null;
  for (let start = 0; start < workers.length; start += DESCRIBED_AT_ONCE) {
    await Promise.all(
      workers.slice(start, start + DESCRIBED_AT_ONCE).map(async ([id, pool]) => {
        try {
          const { state, status } = await workflowState(client, workerWorkflowId(pool, id), taskQueue);
          known.set(id, { pool, state: state === "closed" ? "missing" : state, status });
        } catch (error) {
          known.delete(id);
          problem = `the workflow of worker ${id}: ${error instanceof Error ? error.message : String(error)}`;
        }
      }),
    );
  }
  return problem;
}

function combined(
  { config, deployment }: ReconcilerDeps,
  pods: readonly Pod[] | null,
  workflows: Stock["workflows"],
  database: DatabaseStock,
): Omit<Taken, "unknown"> {
  return {
    pods: new Map((pods ?? []).map((pod) => [pod.id, pod])),
    stock: {
      nowMs: database.nowMs,
      pods: pods && pods.map((pod) => stockPod(deployment, pod)),
      workflows,
      rows: database.rows,
      pools: database.pools.map(({ name }) => name),
      sightings: new Map(database.sightings.map(({ subject, firstMs }) => [subject, firstMs])),
      settleMs: config.provider.podSettleSec * 1000,
      room: config.janitor.maxDeletions - database.endedLately,
    },
  };
}

function stockPod(deployment: string, pod: Pod): StockPod {
  const { id, status } = pod;
  return { id, name: nameOf(pod), isMarked: ownerOf(pod, deployment) === "us", isTerminated: status === "TERMINATED" };
}

/** The environment repeats the name. A pod whose name the provider does not show must not be lost. */
function nameOf({ name, env }: Pod): string | null {
  return name ?? env?.["WORKER_ID"] ?? null;
}

async function act(
  deps: ReconcilerDeps,
  { pods, stock }: Taken,
  findings: readonly WorkerFinding[],
  outcome: Outcome,
): Promise<void> {
  await deps.janitor.sight(
    findings.flatMap(({ subject }) => subject ?? []),
    [],
  );
  const jobs = new Set(stock.rows.filter(({ origin }) => origin === "job").map(({ id }) => id));
  for (const finding of findings) {
    const { worker, pool, pod } = finding;
    if (worker === null || pool === null) {
      continue;
    }
    try {
      const shown = pod === null ? undefined : pods.get(pod);
      const did = await perform(
        deps,
        { ...finding, worker, pool, isJob: jobs.has(worker) },
        shown && described(shown),
        outcome,
      );
      if (did !== null) {
        outcome.done.push(`${worker}: ${did} (${finding.reason})`);
        deps.logger.warn({ pool, worker, pod, reason: finding.reason }, `the reconciler acted: ${did}`);
      }
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      outcome.failed.push(`${worker}: ${finding.verdict}: ${what}`);
      deps.logger.error(
        { pool, worker, pod, err: error },
        "the reconciler could not act; it tries again at its next pass",
      );
    }
  }
}

/** @returns what was done; null: nothing */
async function perform(
  { workers, janitor, alerts, config, deployment }: ReconcilerDeps,
  finding: WorkerFinding & { readonly worker: string; readonly pool: string; readonly isJob: boolean },
  pod: CreatedPod | undefined,
  outcome: Outcome,
): Promise<string | null> {
  const { client, info } = Context.current();
  const { taskQueue } = info;
  const { verdict, worker, pool, reason, subject = worker, isJob } = finding;
  const start = { ...workerStart(pool, worker), taskQueue, memo: { [DEPLOYMENT]: deployment } };
  switch (verdict) {
    case "adopt":
      if (pod === undefined) {
        return null;
      }
      await workers.recordPod(worker, pod, true);
      return "its row learned its pod";
    case "start":
      return await startUnlessOpen(() =>
        isJob
          ? client.workflow.start(POD_JOB_WORKFLOW, { ...start, ...podJobStart(pool, worker) })
          : client.workflow.start(WORKER_WORKFLOW, start),
      );
    case "bury": {
      const found = pod === undefined ? null : { id: pod.podId, ...pod };
      const answer = await janitor.bury({ worker, pool, subject, pod: found, reason }, config.janitor.maxDeletions);
      outcome.isCapped ||= answer === "cap_reached";
      if (answer !== "ordered") {
        return null;
      }
      const signal = { signal: workerSignals.terminate, signalArgs: [{ reason }] as [{ reason: string }] };
      await client.workflow.signalWithStart(WORKER_WORKFLOW, { ...start, ...signal });
      if (pod !== undefined) {
        await alerts.open(
          { kind: "orphan_found", subject: pod.podId, message: `${reason}; it is being deleted` },
          pool,
        );
      }
      return "its burial began";
    }
    case "end":
      await client.workflow.getHandle(start.workflowId).signal(workerSignals.terminate, { reason });
      return "its workflow was ended";
    case "drain":
      await client.workflow.getHandle(start.workflowId).signal(workerSignals.drain, { reason, onlyIdle: false });
      return "it was drained";
    default:
      return null;
  }
}

async function startUnlessOpen(start: () => Promise<unknown>): Promise<string | null> {
  try {
    await start();
    return "its workflow was started";
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return null;
    }
    throw error;
  }
}

function described(pod: Pod): CreatedPod {
  return { podId: pod.id, costPerHourUsd: plausiblePrice(pod.costPerHour), createdAt: pod.createdAt };
}

/** An incomplete list says nothing about which alerts are over. */
async function settleAlerts(
  { alerts, config, logger }: ReconcilerDeps,
  { stock }: Taken,
  findings: readonly WorkerFinding[],
  { isCapped }: Outcome,
): Promise<void> {
  if (stock.pods === null) {
    return;
  }
  const limit = `the janitor ends at most ${config.janitor.maxDeletions} orphans within five minutes`;
  const capped = findings.filter(({ verdict }) => verdict === "capped").map(({ pod, worker }) => pod ?? worker ?? "");
  const message = `${limit} (JANITOR_MAX_DELETIONS); more are waiting: ${capped.slice(0, NAMED).join(", ")}`;
  try {
    await alerts.settle(
      null,
      ["deletion_cap_reached"],
      isCapped ? [{ kind: "deletion_cap_reached", subject: "account", message }] : [],
    );
    for (const pool of stock.pools) {
      await alerts.settle(pool, ["orphan_found"], orphansOf(pool, findings));
    }
  } catch (error) {
    logger.warn({ err: error }, "the alerts about orphans could not be brought up to date");
  }
}

function orphansOf(pool: string, findings: readonly WorkerFinding[]) {
  const own = findings.filter((finding) => finding.pool === pool && finding.pod !== null);
  const ended = own.filter(({ verdict }) => verdict === "bury" || verdict === "capped");
  const unmarked = own.filter(({ verdict }) => verdict === "not_ours").map(({ pod }) => pod);
  const advice = `have the names of pool ${pool}'s workers, but not this deployment's mark; they are never deleted`;
  return [
    ...ended.map(({ pod, reason }) => ({ kind: "orphan_found" as const, subject: pod ?? "", message: reason })),
    ...(unmarked.length === 0
      ? []
      : [
          {
            kind: "orphan_found" as const,
            subject: `unmarked pods of ${pool}`,
            message: `${unmarked.length} pods ${advice}: ${unmarked.slice(0, NAMED).join(", ")}`,
          },
        ]),
  ];
}
