import type { DrainOrder, Evidence, LeaseCause, TerminateOrder, Verdict } from "../../contract/worker-api.ts";
import { isRecord } from "../payloads.ts";

/** The last time that a Date can hold. */
const LATEST_MS = 8.64e15;

/** A drain without a readable payload is a graceful one, so that a drain sent by hand works. */
export function parseDrainOrder(payload: unknown): DrainOrder {
  const given = isRecord(payload) ? payload : {};
  return {
    reason: typeof given["reason"] === "string" ? given["reason"] : "drain asked for by signal",
    onlyIdle: given["onlyIdle"] === true,
    untilTaskEnds: given["untilTaskEnds"] === true,
  };
}

export function parseTerminateOrder(payload: unknown): TerminateOrder {
  const reason = isRecord(payload) ? payload["reason"] : undefined;
  return { reason: typeof reason === "string" ? reason : "terminated by an operator" };
}

export function parseVerdict(payload: unknown): Verdict {
  const given = isRecord(payload) ? payload : {};
  const { evidence, leaseCause, reason, heartbeatMs, progressMs, failedSinceMs } = given;
  return {
    evidence: isEvidence(evidence) ? evidence : null,
    leaseCause: isLeaseCause(leaseCause) ? leaseCause : "host_lost",
    reason: typeof reason === "string" ? reason : "failed by signal",
    heartbeatMs: isTime(heartbeatMs) ? heartbeatMs : null,
    ...(isTime(progressMs) ? { progressMs } : {}),
    ...(isTime(failedSinceMs) ? { failedSinceMs } : {}),
  };
}

/** Milliseconds since epoch. The database refuses a time outside its calendar, again at each attempt. */
function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= LATEST_MS;
}

function isLeaseCause(value: unknown): value is LeaseCause {
  return value === "worker_died" || value === "stuck" || value === "host_lost";
}

const EVIDENCE: ReadonlySet<unknown> = new Set<Evidence>(["provider", "report", "heartbeat", "progress", "failures"]);

function isEvidence(value: unknown): value is Evidence {
  return EVIDENCE.has(value);
}
