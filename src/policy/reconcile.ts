import type { WorkerFinding, WorkerVerdict } from "../contract/upkeep.ts";

/** What the provider, the database and Temporal show at about one time: pods first, then workflows, then rows. */
export interface Stock {
  /** By the database's clock. */
  readonly nowMs: number;
  /** Every pod of the account; null: the list is not complete, so nothing follows from it. */
  readonly pods: readonly StockPod[] | null;
  /**
   * By worker id: the open worker workflows of this deployment, and what is known of the workflow of each living row.
   * Null: Temporal could not be read.
   */
  readonly workflows: ReadonlyMap<string, StockWorkflow> | null;
  /** Every living row, and the rows that pods and workflows name. */
  readonly rows: readonly StockRow[];
  /** Names of this database's pools. */
  readonly pools: readonly string[];
  /** When each subject was first seen, by the database's clock. */
  readonly sightings: ReadonlyMap<string, number>;
  /** Time between two sightings before anything is ended. */
  readonly settleMs: number;
  /** How many may still be ended now. */
  readonly room: number;
}

export interface StockPod {
  readonly id: string;
  /** Its name; where the provider shows none, the worker that its environment names. */
  readonly name: string | null;
  /** Its environment carries this deployment's mark. */
  readonly isMarked: boolean;
  /** The provider shows it as terminated: it is there no more. */
  readonly isTerminated: boolean;
}

export interface StockWorkflow {
  readonly pool: string;
  /** foreign: open on another task queue. */
  readonly state: "running" | "missing" | "foreign";
  /** In words, such as terminated. */
  readonly status: string;
}

export interface StockRow {
  readonly id: string;
  readonly pool: string;
  readonly status: string;
  /** pool: a GPU worker; job: a pod that was rented for one job; external: not rented. */
  readonly origin: string;
  readonly podId: string | null;
  readonly postState: string | null;
  /** Its pod was seen gone. */
  readonly gone: boolean;
}

/** Most urgent first: the order in which the limit is used up. */
const URGENCY = ["burned", "ended", "no row", "no pod"] as const;

type Unjudged = Omit<WorkerFinding, "verdict" | "reason">;

/** What is to be ended, if it is seen again and there is room. */
interface Suspect {
  readonly urgency: (typeof URGENCY)[number];
  readonly finding: Unjudged;
  readonly subject: string;
  readonly reason: string;
  readonly verdict: "bury" | "drain" | "end";
}

/**
 * One finding for each pod, living row and open worker workflow of this deployment, and for each pod that looks like one
 * of its pods and is not. Nothing is ended on one sighting, on an incomplete list, or without name and mark.
 */
export function reconcile(stock: Stock): WorkerFinding[] {
  const rows = new Map(stock.rows.map((row) => [row.id, row]));
  const living = stock.rows.filter(({ gone, origin }) => !gone && origin !== "external");
  const recorded = new Set(living.map(({ podId }) => podId));
  const present = (stock.pods ?? []).filter(({ isTerminated }) => !isTerminated);
  const unrecorded = present.filter(({ id }) => !recorded.has(id)).flatMap((pod) => ofPod(stock, pod, rows) ?? []);
  const suspects = unrecorded.filter(isSuspect);
  const findings = unrecorded.flatMap((one) => (isSuspect(one) ? [] : [one]));

  const shown = new Set(present.map(({ id }) => id));
  const adopted = new Set(findings.filter(({ verdict }) => verdict === "adopt").map(({ worker }) => worker));
  for (const row of living) {
    if (!adopted.has(row.id) || isMissing(stock, row.id)) {
      findings.push(ofRow(stock, row, row.podId !== null && shown.has(row.podId)));
    }
  }
  const suspected = new Set(suspects.map(({ finding }) => finding.worker));
  for (const [worker, workflow] of stock.workflows ?? []) {
    const row = rows.get(worker);
    if (workflow.state === "running" && !suspected.has(worker) && (row === undefined || row.gone)) {
      const found = ofWorkflow(stock, worker, workflow, row);
      if (isSuspect(found)) {
        suspects.push(found);
      } else {
        findings.push(found);
      }
    }
  }
  return [...judged(stock, suspects), ...findings];
}

/** The pool that gives such names to its pods; null: no pool of these. */
export function poolOfName(pools: readonly string[], name: string | null): string | null {
  const pool = /^(.+)-[0-9a-f]{8}$/.exec(name ?? "")?.[1];
  return pool !== undefined && pools.includes(pool) ? pool : null;
}

/** A pod that no living row has recorded. Null: it is foreign, or its worker's own workflow looks for it now. */
function ofPod(stock: Stock, pod: StockPod, rows: ReadonlyMap<string, StockRow>): WorkerFinding | Suspect | null {
  const { id, name: worker, isMarked } = pod;
  const pool = poolOfName(stock.pools, worker);
  const row = worker === null ? undefined : rows.get(worker);
  const words = row === undefined ? null : rowInWords(row);
  const finding: Unjudged = { pod: id, worker, pool, row: words, workflow: workflowOf(stock, worker) };
  const suspect = (urgency: Suspect["urgency"], reason: string) =>
    ({ urgency, finding, subject: id, reason: `pod ${id} ${reason}`, verdict: "bury" }) as const;
  if (pool === null || !isMarked) {
    const reason = isMarked
      ? "it has this deployment's mark, but its name is not that of a pool's worker"
      : "it has the name of a pool's worker, but not this deployment's mark";
    return pool !== null || isMarked ? { ...finding, verdict: "not_ours", reason } : null;
  }
  if (row === undefined) {
    return suspect("no row", "has no row: the row was deleted");
  }
  if (row.origin === "external") {
    return { ...finding, verdict: "not_ours", reason: "its row is that of an external worker" };
  }
  if (row.gone) {
    return row.postState === "burned"
      ? suspect("burned", "has a burned name, and its worker has ended")
      : suspect("ended", "still exists, but its worker has ended");
  }
  if (row.podId !== null) {
    const reason = `has the name of a worker with another pod, ${row.podId}`;
    return row.status === "spawning" || row.status === "active"
      ? { ...suspect("no row", reason), subject: `twin/${id}`, verdict: "drain" }
      : { ...finding, verdict: "kept", reason: "the burial of its worker deletes it" };
  }
  return row.status === "spawning"
    ? null
    : { ...finding, verdict: "adopt", reason: "its row does not know its pod yet" };
}

function ofRow(stock: Stock, row: StockRow, isShown: boolean): WorkerFinding {
  const { id: worker, pool } = row;
  const finding = { pod: isShown ? row.podId : null, worker, pool, row: rowInWords(row) };
  const workflow = stock.workflows?.get(worker);
  const words = workflowOf(stock, worker);
  const judge = (verdict: WorkerVerdict, reason: string) => ({ ...finding, workflow: words, verdict, reason });
  if (stock.workflows === null || workflow === undefined) {
    return judge("unknown", "Temporal does not say whether its workflow runs");
  }
  if (workflow.state === "foreign") {
    return judge("not_ours", "its workflow runs on another task queue");
  }
  if (workflow.state === "missing") {
    return judge("start", `its workflow is ${workflow.status}`);
  }
  if (isShown || row.podId === null) {
    return judge("kept", row.podId === null ? "it has no pod yet" : "pod, row and workflow agree");
  }
  return judge("kept", stock.pods === null ? "the provider's list is not complete" : "no list shows its pod now");
}

function ofWorkflow(
  { pools }: Stock,
  worker: string,
  { pool, status }: StockWorkflow,
  row: StockRow | undefined,
): WorkerFinding | Suspect {
  const finding = { pod: null, worker, pool, row: row === undefined ? null : rowInWords(row), workflow: status };
  if (!pools.includes(pool)) {
    return { ...finding, verdict: "not_ours", reason: "its pool is not in this database" };
  }
  const suspect = { urgency: "no pod", finding, subject: `workflow/${worker}` } as const;
  return row === undefined
    ? { ...suspect, reason: "its workflow has no row: the row was deleted", verdict: "bury" }
    : { ...suspect, reason: "its worker has ended, but not its workflow", verdict: "end" };
}

/** The first sighting waits; of the others, as many as there is room for are acted on, the most urgent first. */
function judged({ nowMs, settleMs, sightings, room }: Stock, suspects: readonly Suspect[]): WorkerFinding[] {
  const sorted = suspects.toSorted((a, b) => URGENCY.indexOf(a.urgency) - URGENCY.indexOf(b.urgency));
  let left = room;
  return sorted.map(({ finding, subject, reason, verdict }) => {
    const firstMs = sightings.get(subject);
    if (firstMs === undefined || nowMs - firstMs < settleMs) {
      return { ...finding, subject, verdict: "wait", reason: `${reason}; ended if it is seen again` };
    }
    if (left <= 0) {
      return { ...finding, subject, verdict: "capped", reason: `${reason}; too many were ended at once` };
    }
    left -= 1;
    return { ...finding, subject, verdict, reason };
  });
}

function isMissing({ workflows }: Stock, worker: string): boolean {
  return workflows?.get(worker)?.state === "missing";
}

function isSuspect(one: WorkerFinding | Suspect): one is Suspect {
  return "urgency" in one;
}

function rowInWords({ status, gone, postState }: StockRow): string {
  return [status, ...(gone ? ["gone"] : []), ...(postState === "burned" ? ["burned"] : [])].join(", ");
}

/** Null: it has none, or Temporal does not say. */
function workflowOf({ workflows }: Stock, worker: string | null): string | null {
  return (worker !== null && workflows?.get(worker)?.status) || null;
}
