import type { Intent } from "../../contract/intent.ts";
import type { MessageOutcome, PoolStatus } from "../../contract/pool-api.ts";
import type { Snapshot } from "../../contract/plan.ts";
import { describeWish } from "./recent.ts";

/** The pool's current details for the Web UI, in Markdown. */
export function describePool(status: PoolStatus): string {
  const { pool, intent, snapshot, lastDecision, watches, messages, recent = [] } = status;
  if (snapshot === null) {
    return [`### Pool ${pool}${wish(intent)}`, "", "Not observed yet.", ...lastMessages(recent)].join("\n");
  }
  return [
    `### Pool ${pool}${wish(intent)}`,
    "",
    // No table: the Web UI draws one without any space between its columns.
    `- **Size:** ${snapshot.desired} desired by ${snapshot.rule}; ${countWorkers(snapshot)}`,
    `- **Queue:** ${snapshot.queued} open`,
    `- **Cost:** $${snapshot.costPerHourUsd} an hour`,
    "",
    `**Now:** ${snapshot.reason}`,
    ...circumstances(snapshot).flatMap((line) => ["", line]),
    "",
    lastDecision === null
      ? "No action yet."
      : `**Last action:** ${lastDecision.reason} (${lastDecision.actions} actions, decision ${lastDecision.id})`,
    ...lastMessages(recent),
    "",
    `Observed ${snapshot.observedAt}; ${watches} watches, ${messages} messages.`,
  ].join("\n");
}

function countWorkers({ spawning, idle, busy, terminating, failing }: Snapshot): string {
  return `${spawning} spawning, ${idle} idle, ${busy} busy, ${terminating} terminating, ${failing} in error`;
}

function wish(intent: Intent | null): string {
  return intent === null ? "" : `: ${describeWish(intent)}`;
}

/** The words of a sender are shown as code, so that they are no link and no picture. */
function lastMessages(recent: readonly MessageOutcome[]): string[] {
  const lines = recent.map(
    ({ at, kind, became, why }) =>
      `- ${at} ${became}: \`${`${kind}: ${why}`.replaceAll("`", "'").replaceAll("\n", " ")}\``,
  );
  return lines.length === 0 ? [] : ["", "**Last messages:**", "", ...lines];
}

function circumstances({ breaker, suspended, schedule }: Snapshot): string[] {
  return [
    ...(breaker === undefined || breaker === "closed"
      ? []
      : [`**Breaker ${breaker.replace("_", "-")}:** see the journal`]),
    ...(suspended === undefined || suspended === null ? [] : [`**Verdicts suspended:** ${suspended}`]),
    ...(schedule === undefined || schedule === null ? [] : [`**Schedule:** ${schedule}`]),
  ];
}
