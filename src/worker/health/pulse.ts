import type { Readiness, Service } from "./readiness.ts";

const LOOK_MS = 1_000;

/**
 * A light call for each service, made when no other call has succeeded for so long. A process without a pool calls nobody
 * else, and must know nevertheless whether it could.
 */
export const PROBE_AFTER_MS: Readonly<Record<Service, number>> = {
  temporal: 15_000,
  database: 10_000,
  provider: 60_000,
};

/** They answer whether the call has succeeded. */
export type Probes = Readonly<Record<Service, () => Promise<boolean>>>;

/** Makes the probes until it is stopped. A probe that throws shows in the readiness alone. */
export function startPulse(readiness: Readiness, probes: Probes): () => void {
  const triedMs = new Map<Service, number>();
  const look = () => {
    for (const service of Object.keys(probes) as Service[]) {
      const afterMs = PROBE_AFTER_MS[service];
      const sinceTryMs = performance.now() - (triedMs.get(service) ?? Number.NEGATIVE_INFINITY);
      if (sinceTryMs >= afterMs && readiness.unseenMs(service) >= afterMs) {
        triedMs.set(service, performance.now());
        void probes[service]().then(
          (succeeded) => succeeded && readiness.seen(service),
          () => undefined,
        );
      }
    }
    // Notices when polling stops, so that the report says since when.
    readiness.report();
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}
