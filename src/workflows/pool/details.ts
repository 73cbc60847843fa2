import type { Intent } from "../../contract/intent.ts";
import type { PoolStatus } from "../../contract/pool-api.ts";
import type { Snapshot } from "../../contract/plan.ts";

/** The pool's current details for the Web UI, in Markdown. */
export function describePool({ pool, intent, snapshot, lastDecision, watches, messages }: PoolStatus): string {
  if (snapshot === null) {
    return `### Pool ${pool}${wish(intent)}\n\nNot observed yet.`;
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
    "",
    `Observed ${snapshot.observedAt}; ${watches} watches, ${messages} messages.`,
  ].join("\n");
}

function countWorkers({ spawning, idle, busy, terminating, failing }: Snapshot): string {
  return `${spawning} spawning, ${idle} idle, ${busy} busy, ${terminating} terminating, ${failing} in error`;
}

function wish(intent: Intent | null): string {
  if (intent === null) {
    return "";
  }
  if (intent.hold === null) {
    return `: ${intent.mode}`;
  }
  const until = intent.holdUntilMs === null ? "" : ` until ${new Date(intent.holdUntilMs).toISOString()}`;
  return `: ${intent.mode}, held at ${intent.hold}${until}`;
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
