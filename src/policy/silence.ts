import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

export interface Warning {
  readonly worker: string;
  readonly kind: "worker.vram_stale";
  readonly reason: string;
}

/** A change that must be recorded, so that the next watch knows it. */
export type MassSilenceChange = "begun" | "over";

/** Time without a heartbeat, ms; 0 before the first one. Time in which observations failed does not count. */
export function silentMs({ nowMs, observingSinceMs }: Observation, { status, heartbeatMs }: ObservedWorker): number {
  return status === "spawning" || heartbeatMs === null ? 0 : nowMs - Math.max(heartbeatMs, observingSinceMs);
}

export function isSilent(settings: PolicySettings, observation: Observation, worker: ObservedWorker): boolean {
  return silentMs(observation, worker) > settings.gpuIdleTimeoutSec * 1000;
}

/** Without a heartbeat for half of GPU_IDLE_TIMEOUT_SEC. */
export function isLate(settings: PolicySettings, observation: Observation, worker: ObservedWorker): boolean {
  return silentMs(observation, worker) > settings.gpuIdleTimeoutSec * 500;
}

/**
 * Null, or a sentence if most of the fleet is late. Then the database or network is the cause. Half of the limit
 * already counts as late: last heartbeats differ in time, so at the full limit the first worker would be ended before
 * the others count.
 */
export function massLateness(settings: PolicySettings, observation: Observation): string | null {
  const most = mostUnheard(observation, (worker) => isLate(settings, observation, worker));
  if (most === null) {
    return null;
  }
  const counted = `${most.unheard} of ${most.active} active workers fell silent together`;
  return `${counted} (GPU_IDLE_TIMEOUT_SEC ${settings.gpuIdleTimeoutSec}): only the provider's list ends a silent one`;
}

function mostUnheard(observation: Observation, isUnheard: (worker: ObservedWorker) => boolean) {
  const active = observation.fleet.filter(({ status, origin }) => status === "active" && origin === "pool");
  const unheard = active.filter(isUnheard).length;
  return unheard < 2 || unheard * 2 <= active.length ? null : { unheard, active: active.length };
}

/**
 * After an outage heartbeats come back one by one, and the last worker must not be ended for the outage itself.
 * @returns the observation; if a mass silence has just ended, all ages count from now on.
 */
export function afterMassSilence(settings: PolicySettings, seen: Observation): Observation {
  return massSilenceChange(settings, seen) === "over" ? { ...seen, observingSinceMs: seen.nowMs } : seen;
}

/**
 * A mass silence begins after three quarters of GPU_IDLE_TIMEOUT_SEC and ends when fewer workers are late. Its end
 * restarts all ages. A shorter silence must not do that, because a dead worker would get its full time again after each
 * one.
 */
export function massSilenceChange(settings: PolicySettings, seen: Observation): MassSilenceChange | null {
  if (seen.massSilenceSinceMs !== null) {
    return massLateness(settings, seen) === null ? "over" : null;
  }
  const limitMs = settings.gpuIdleTimeoutSec * 750;
  return mostUnheard(seen, (worker) => silentMs(seen, worker) > limitMs) === null ? null : "begun";
}

/** Warns of workers that send heartbeats without VRAM figures. That is no reason to end them. */
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
