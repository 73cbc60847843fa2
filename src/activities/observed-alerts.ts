import type { Logger } from "pino";
import type { Condition } from "../contract/alerts.ts";
import { OBSERVED_KINDS } from "../policy/alerts.ts";
import type { AlertStore } from "../supabase/alert-store.ts";

export interface AlertMemory {
  /** The open alerts by key; null: not read yet. */
  open: ReadonlyMap<string, Condition> | null;
  /** Keys of what was open and over in the last full pass. */
  over: ReadonlySet<string>;
}

/**
 * Opens what is new at once. Closes what is over in two full passes in a row, so that a condition that comes and goes is
 * not told of each time. Writes only what changes the set. A failure is logged: alerts never hold up a decision.
 * @param inDatabase the open alerts, as a full pass reads them; null: this is no full pass.
 */
export async function settleAlerts(
  { alerts, logger }: { readonly alerts: AlertStore; readonly logger: Logger },
  pool: string,
  memory: AlertMemory,
  current: readonly Condition[],
  inDatabase: readonly Condition[] | null,
): Promise<void> {
  const before = inDatabase === null ? memory.open : byKey(inDatabase.filter(isObserved));
  if (before === null) {
    return;
  }
  memory.open = before;
  const now = byKey(current);
  const over = new Set([...before.keys()].filter((key) => !now.has(key)));
  const lasting = [...before].filter(([key]) => over.has(key) && !(inDatabase !== null && memory.over.has(key)));
  const wanted = new Map([...lasting, ...now]);
  memory.over = inDatabase === null ? memory.over : over;
  // Only a full pass writes changed words, because they may change with every look.
  const isSame = inDatabase === null ? hasKeys : hasMessages;
  if (wanted.size === before.size && isSame(before, wanted)) {
    return;
  }
  try {
    await alerts.settle(pool, OBSERVED_KINDS, [...wanted.values()]);
    memory.open = wanted;
  } catch (error) {
    logger.warn({ pool, err: error }, "alerts could not be written; the next full pass tries again");
  }
}

function isObserved({ kind }: Condition): boolean {
  return OBSERVED_KINDS.some((known) => known === kind);
}

function byKey(conditions: readonly Condition[]): Map<string, Condition> {
  return new Map(conditions.map((condition) => [`${condition.kind} ${condition.subject}`, condition]));
}

type Conditions = ReadonlyMap<string, Condition>;

function hasKeys(before: Conditions, wanted: Conditions): boolean {
  return [...wanted.keys()].every((key) => before.has(key));
}

function hasMessages(before: Conditions, wanted: Conditions): boolean {
  return [...wanted].every(([key, { message }]) => before.get(key)?.message === message);
}
