import type { Readiness, Service } from "./readiness.ts";

const LOOK_MS = 1_000;

type Probed = Exclude<Service, "database">;

/**
 * A light call, made when no other call to the service has succeeded for so long. A process without a pool calls nobody
 * else, and must know nevertheless whether it could. The database gets signs of life all the time.
 */
const PROBE_AFTER_MS: Readonly<Record<Probed, number>> = { temporal: 15_000, provider: 60_000 };

/** They answer whether the call has succeeded. */
export type Probes = Readonly<Record<Probed, () => Promise<boolean>>>;

/** Makes the probes until it is stopped. A probe that throws shows in the readiness alone. */
export function startPulse(readiness: Readiness, probes: Probes): () => void {
  const triedMs = new Map<Probed, number>();
  const look = () => {
    for (const service of Object.keys(probes) as Probed[]) {
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
