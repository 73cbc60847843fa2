import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

export interface Warning {
  readonly worker: string;
  readonly kind: "worker.vram_stale";
  readonly reason: string;
}

/** To be recorded, so that whoever looks next knows it. */
export type MassSilenceChange = "begun" | "over";

/** How long a worker was not heard, ms; 0 for one that never was. Nobody is silent while nobody listens. */
export function silentMs({ nowMs, observingSinceMs }: Observation, { status, heartbeatMs }: ObservedWorker): number {
  return status === "spawning" || heartbeatMs === null ? 0 : nowMs - Math.max(heartbeatMs, observingSinceMs);
}

export function isSilent(settings: PolicySettings, observation: Observation, worker: ObservedWorker): boolean {
  return silentMs(observation, worker) > settings.gpuIdleTimeoutSec * 1000;
}

/** Not heard for half the time after which it counts as silent. */
export function isLate(settings: PolicySettings, observation: Observation, worker: ObservedWorker): boolean {
  return silentMs(observation, worker) > settings.gpuIdleTimeoutSec * 500;
}

/**
 * When most of the fleet is late together, it is not the workers: a sentence, or null. Their last beats lie apart, so
 * half the limit counts: else the first one would be ended alone, just before the rest.
 */
export function massLateness(settings: PolicySettings, observation: Observation): string | null {
  const most = mostUnheard(observation, (worker) => isLate(settings, observation, worker));
  if (most === null) {
    return null;
  }
  const who = `${most.unheard} of ${most.active} active workers fell silent together`;
  return `${who} (GPU_IDLE_TIMEOUT_SEC ${settings.gpuIdleTimeoutSec}): only the provider's word ends a silent one`;
}

function mostUnheard(observation: Observation, isUnheard: (worker: ObservedWorker) => boolean) {
  const active = observation.fleet.filter(({ status, origin }) => status === "active" && origin === "pool");
  const unheard = active.filter(isUnheard).length;
  return unheard < 2 || unheard * 2 <= active.length ? null : { unheard, active: active.length };
}

/**
 * After an outage hearts are heard again one by one: who comes last is no suspect for what went before.
 * @returns what was seen, with all ages counted from now on where a mass silence is over.
 */
export function afterMassSilence(settings: PolicySettings, seen: Observation): Observation {
  return massSilenceChange(settings, seen) === "over" ? { ...seen, observingSinceMs: seen.nowMs } : seen;
}

/**
 * Lateness that passes with the next beat is no outage: were it recorded, each such moment would give a dead worker its
 * whole time again. So three quarters of the limit begin one; who comes back after less is heard before the limit.
 */
export function massSilenceChange(settings: PolicySettings, seen: Observation): MassSilenceChange | null {
  if (seen.massSilenceSinceMs !== null) {
    return massLateness(settings, seen) === null ? "over" : null;
  }
  const limitMs = settings.gpuIdleTimeoutSec * 750;
  return mostUnheard(seen, (worker) => silentMs(seen, worker) > limitMs) === null ? null : "begun";
}

/** Workers that beat, but whose VRAM figures no longer come with it: something to look at, nothing to end them for. */
export function staleVram(settings: PolicySettings, observation: Observation): Warning[] {
  const { nowMs, observingSinceMs, fleet } = observation;
  return fleet.flatMap((worker): Warning[] => {
    const { vramMs } = worker;
    if (worker.status !== "active" || vramMs === null || isSilent(settings, observation, worker)) {
      return [];
    }
    const staleMs = nowMs - Math.max(vramMs, observingSinceMs);
    if (staleMs <= settings.gpuIdleTimeoutSec * 1000) {
      return [];
    }
    const figures = `heartbeats come, VRAM figures not for ${Math.round(staleMs / 1000)} s`;
    const reason = `${figures} (GPU_IDLE_TIMEOUT_SEC ${settings.gpuIdleTimeoutSec})`;
    return [{ worker: worker.id, kind: "worker.vram_stale", reason }];
  });
}
