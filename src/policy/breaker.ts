import type { BreakerState } from "../contract/plan.ts";
import type { Bound } from "./bounds.ts";
import type { Observation } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

const MINUTE_MS = 60_000;

export interface BreakerChange {
  readonly state: BreakerState;
  readonly reason: string;
}

/** The breaker's next state; null: it stays as it is. Only workers that failed before they were ready count as failures. */
export function breakerChange(settings: PolicySettings, { breaker, nowMs }: Observation): BreakerChange | null {
  switch (breaker.state) {
    case "closed":
      return tooManyFailed(settings, breaker);
    case "open": {
      const isOver = nowMs - breaker.sinceMs >= settings.failureWindowMinutes * MINUTE_MS;
      const reason = `open for ${settings.failureWindowMinutes} min (FAILURE_WINDOW_MINUTES): one worker probes`;
      return isOver ? { state: "half_open", reason } : null;
    }
    case "half_open":
      if (breaker.ready > 0) {
        return { state: "closed", reason: "a worker became ready again" };
      }
      return breaker.failed > 0 ? { state: "open", reason: "the probing worker failed before it was ready" } : null;
  }
}

function tooManyFailed(settings: PolicySettings, { failed, ready }: Observation["breaker"]): BreakerChange | null {
  const { maxWorkerFailureRate: rate, minWorkersForRateCheck: enough } = settings;
  const booted = failed + ready;
  if (booted === 0 || booted < enough || failed / booted <= rate) {
    return null;
  }
  const counted = `${failed} of the last ${booted} workers failed before they were ready`;
  return { state: "open", reason: `${counted} (MAX_WORKER_FAILURE_RATE ${rate})` };
}

/** @param state the breaker's state for this decision. */
export function breakerBounds(state: BreakerState, { fleet }: Observation): Bound[] {
  switch (state) {
    case "closed":
      return [];
    case "open":
      return [{ rule: "breaker", room: 0, reason: "breaker open" }];
    case "half_open": {
      const spawning = fleet.filter((worker) => worker.status === "spawning").length;
      return [{ rule: "breaker", room: 1 - spawning, reason: "breaker half-open, one at a time" }];
    }
  }
}
