import type { PoolStatus } from "../contract/messages.ts";

/** What the Web UI shows as the pool's current details, in Markdown. */
export function describePool({ pool, snapshot, lastDecision, watches, messages }: PoolStatus): string {
  if (snapshot === null) {
    return `### Pool ${pool}\n\nNot observed yet.`;
  }
  const { intent } = snapshot;
  const wish =
    intent.hold === null
      ? intent.mode
      : `${intent.mode}, held at ${intent.hold}${intent.holdUntilMs === null ? "" : ` until ${new Date(intent.holdUntilMs).toISOString()}`}`;
  return [
    `### Pool ${pool}: ${wish}`,
    "",
    "| desired | spawning | idle | busy | leaving | failing | queued | $/h |",
    "|---|---|---|---|---|---|---|---|",
    `| ${snapshot.desired} | ${snapshot.spawning} | ${snapshot.idle} | ${snapshot.busy} | ${snapshot.terminating} | ${snapshot.failing} | ${snapshot.queued} | ${snapshot.costPerHourUsd} |`,
    "",
    `**Now:** ${snapshot.reason}`,
    "",
    lastDecision === null
      ? "No action yet."
      : `**Last action:** ${lastDecision.reason} (${lastDecision.actions} actions, decision ${lastDecision.id})`,
    "",
    `Observed ${snapshot.observedAt}; ${watches} watches, ${messages} messages.`,
  ].join("\n");
}
