import type { DrainOrder, Evidence, LeaseCause, TerminateOrder, Verdict } from "../../contract/worker-api.ts";
import { isRecord, isWhole } from "../payloads.ts";

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
    heartbeatMs: isWhole(heartbeatMs) ? heartbeatMs : null,
    ...(isWhole(progressMs) ? { progressMs } : {}),
    ...(isWhole(failedSinceMs) ? { failedSinceMs } : {}),
  };
}

function isLeaseCause(value: unknown): value is LeaseCause {
  return value === "worker_died" || value === "stuck" || value === "host_lost";
}

const EVIDENCE: ReadonlySet<unknown> = new Set<Evidence>(["provider", "report", "heartbeat", "progress", "failures"]);

function isEvidence(value: unknown): value is Evidence {
  return EVIDENCE.has(value);
}
