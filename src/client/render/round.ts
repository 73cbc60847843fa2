import type { ActionSummary, Explanation } from "../../contract/explanations.ts";
import type { CycleSummary } from "../../contract/cycle-summary.ts";
import { describeIntent } from "./intent.ts";
import { plain, type Style } from "./output.ts";
import { headline, labelled } from "./rows.ts";
import { isoTime } from "./stored.ts";

/** One round of a pool, in lines of at most `width` characters. */
export function renderRound(round: CycleSummary, width: number, style: Style): string[] {
  const { pool, mode, hold, holdUntil = null, workers, spend, breaker, schedule = null, suspended = null } = round;
  const row = labelled(width, style);
  const { spawning, idle, busy, terminating, failing } = workers;
  const holdUntilMs = holdUntil === null ? null : Date.parse(holdUntil);
  const wish = describeIntent({ mode, hold, holdUntilMs, version: 0 }, Date.parse(round.at));
  const counts = `${spawning} spawning, ${idle} idle, ${busy} busy, ${terminating} terminating, ${failing} in error`;
  return [
    headline(pool, wish, width, style),
    row("size", `${round.desired} desired; ${counts}`),
    row("queue", `${round.queued} open`),
    row("cost", `$${round.costPerHourUsd.toFixed(2)} an hour; the account ${describeSpend(spend)}`),
    ...(breaker === "closed" ? [] : [row("breaker", breaker.replace("_", "-"), "red")]),
    ...(schedule === null ? [] : [row("schedule", plain(schedule))]),
    ...(suspended === null ? [] : [row("health", `verdicts suspended: ${plain(suspended)}`, "yellow")]),
    row("rule", round.rule),
    row("decision", plain(round.reason)),
    ...describeActions(round).map((text, index) => row(index === 0 ? "actions" : "", text)),
    ...(round.booked.length === 0 ? [] : [row("booked", plain(round.booked.join(", ")))]),
  ];
}

export function describeSpend({ hourlyUsd, todayUsd }: CycleSummary["spend"]): string {
  return `$${hourlyUsd.toFixed(2)} an hour, $${todayUsd.toFixed(2)} today`;
}

/** The actions of a decision, one a line. An action whose reason is the decision's own sentence does not repeat it. */
export function describeActions({ actions, reason }: Pick<Explanation, "actions" | "reason">): string[] {
  return actions.length === 0 ? ["none"] : actions.map((action) => plain(describeAction(action, reason)));
}

function describeAction({ kind, count, workers, reason }: ActionSummary, sentence: string): string {
  const more = count > workers.length && workers.length > 0 ? ", …" : "";
  const ids = workers.length === 0 ? "" : `: ${workers.join(", ")}${more}`;
  const why = reason === null || reason === sentence ? "" : ` (${reason})`;
  return `${kind} ${count}${ids}${why}`;
}

/** A controller's last decision as one round. Null: it has not observed its pool yet. */
export function roundOf(pool: string, explanation: Explanation): CycleSummary | null {
  const { decisionId, at, rule, reason, inputs, actions } = explanation;
  if (inputs === null || rule === null) {
    return null;
  }
  const { intent, desired, queued, spawning, idle, busy, terminating, failing, breaker, costPerHourUsd, spend } =
    inputs;
  return {
    pool,
    decisionId,
    at,
    mode: intent.mode,
    hold: intent.hold,
    holdUntil: intent.holdUntilMs === null ? null : isoTime(intent.holdUntilMs),
    desired,
    rule,
    reason,
    queued,
    workers: { spawning, idle, busy, terminating, failing },
    breaker,
    schedule: inputs.schedule,
    suspended: inputs.suspended,
    costPerHourUsd,
    spend: { hourlyUsd: spend.hourlyUsd, todayUsd: spend.todayUsd },
    actions,
    booked: actions.flatMap(({ kind, workers }) => (kind === "spawn" ? workers : [])),
  };
}
