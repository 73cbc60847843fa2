import { type Action, isKnown, type Plan, type Rule, type Snapshot } from "./plan.ts";

const SHOWN_WORKERS = 10;

/** A decision as the query `explain` answers it. */
export interface Explanation {
  readonly decisionId: string;
  readonly at: string;
  readonly rule: Rule | null;
  readonly reason: string;
  readonly inputs: Omit<Snapshot, "reason" | "rule" | "observedAt"> | null;
  readonly actions: readonly ActionSummary[];
}

export interface ActionSummary {
  readonly kind: "spawn" | "ready" | "released" | "drain" | "fail" | "terminate";
  readonly count: number;
  /** Ids, at most ten. */
  readonly workers: readonly string[];
  readonly reason: string | null;
}

/** A plan as the query `explain` answers it; null: it was made without an observation. */
export function explain({ decisionId, snapshot, actions }: Plan): Explanation | null {
  if (snapshot === null) {
    return null;
  }
  const { reason, rule, observedAt, ...inputs } = snapshot;
  return { decisionId, at: observedAt, rule, reason, inputs, actions: summariseActions(actions) };
}

/** Joins equal actions into one, so that a decision about hundreds of workers stays readable and small. */
export function summariseActions(actions: readonly Action[]): ActionSummary[] {
  const groups = new Map<string, ActionSummary>();
  for (const action of actions) {
    const part = summarise(action);
    if (part !== null) {
      const key = `${part.kind}: ${part.reason}`;
      const group = groups.get(key);
      groups.set(key, group === undefined ? part : join(group, part));
    }
  }
  return [...groups.values()];
}

function summarise(action: Action): ActionSummary | null {
  if (action.kind === "spawn") {
    return { kind: "spawn", count: action.count, workers: [], reason: action.reason };
  }
  if (!isKnown(action)) {
    return null;
  }
  const { worker, signal } = action;
  const reason =
    signal.name === "fail"
      ? signal.verdict.reason
      : signal.name === "drain" || signal.name === "terminate"
        ? signal.order.reason
        : null;
  return { kind: signal.name, count: 1, workers: [worker], reason };
}

function join(group: ActionSummary, part: ActionSummary): ActionSummary {
  return {
    ...group,
    count: group.count + part.count,
    workers: [...group.workers, ...part.workers].slice(0, SHOWN_WORKERS),
  };
}
