import type { SimulatedPod } from "./pod.ts";
import type { BilledSpan, Ledger, LedgerEntry } from "./types.ts";

/** Billed seconds of all spans; each begun second counts. */
export function billedSeconds(spans: readonly BilledSpan[], nowMs: number): number {
  return spans.reduce((sum, span) => sum + Math.ceil(Math.max(0, (span.toMs ?? nowMs) - span.fromMs) / 1000), 0);
}

/** The pods that really existed and their true cost, to check a pool's own records against. */
export function buildLedger(pods: readonly SimulatedPod[], nowMs: number): Ledger {
  const entries = pods.map((pod) => ledgerEntry(pod, nowMs));
  return {
    pods: entries,
    totals: {
      pods: entries.length,
      live: entries.filter((entry) => entry.live).length,
      costUsd: entries.reduce((sum, entry) => sum + entry.costUsd, 0),
    },
  };
}

function ledgerEntry(pod: SimulatedPod, nowMs: number): LedgerEntry {
  const billedSec = billedSeconds(pod.billed, nowMs);
  return {
    id: pod.id,
    name: pod.request.name,
    gpu: pod.request.gpu?.id ?? "CPU",
    status: pod.status,
    live: pod.endedAtMs === null,
    billing: pod.billed.at(-1)?.toMs === null,
    createdAt: iso(pod.createdAtMs),
    runningAt: pod.runningAtMs === null ? null : iso(pod.runningAtMs),
    endedAt: pod.endedAtMs === null ? null : iso(pod.endedAtMs),
    endCause: pod.endCause,
    costPerHour: pod.costPerHour,
    billedSec,
    costUsd: (billedSec * pod.costPerHour) / 3600,
    pid: pod.pid,
    exit: pod.exit,
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
