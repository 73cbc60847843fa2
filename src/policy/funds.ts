import type { Bound } from "./bounds.ts";
import type { Observation } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/**
 * While the provider refuses pods for lack of funds, one worker in NO_FUNDS_PROBE_MINUTES tries again. All pools share
 * the account, so the database books that worker for one pool only.
 */
export function fundsBounds({ noFundsProbeMinutes }: PolicySettings, { noFunds, nowMs }: Observation): Bound[] {
  if (noFunds === null) {
    return [];
  }
  const nextMs = noFunds.triedMs + noFundsProbeMinutes * 60_000;
  const since = `no funds in the account since ${clock(noFunds.sinceMs)}`;
  return nowMs < nextMs
    ? [{ rule: "funds", room: 0, reason: `${since}, next attempt at ${clock(nextMs)}` }]
    : [{ rule: "funds", room: 1, reason: `${since}, one worker tries again` }];
}

function clock(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
