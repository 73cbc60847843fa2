/** The services that the process needs, with the longest time since the last successful call. */
export const SEEN_WITHIN_MS = { temporal: 45_000, database: 30_000, provider: 150_000 } as const;

export type Service = keyof typeof SEEN_WITHIN_MS;

/** One part of the readiness. */
export interface PartState {
  readonly ready: boolean;
  /** ISO time since when it is so; for a service that is not ready: since its last successful call or the start. */
  readonly since: string;
  /** Why it is not ready. */
  readonly reason?: string;
}

export interface ReadinessReport {
  readonly ready: boolean;
  readonly parts: Readonly<Record<"polling" | Service, PartState>>;
}

/** The part of a Temporal worker that is needed here. */
export interface Poller {
  getState(): string;
}

export interface Readiness {
  /** A call to this service has succeeded. */
  seen(service: Service): void;
  /** Milliseconds since the last successful call to this service; infinite before the first. */
  unseenMs(service: Service): number;
  /** From now on this Temporal worker polls the task queue. A later one of the same task queue replaces it. */
  polls(taskQueue: string, poller: Poller): void;
  report(): ReadinessReport;
}

const POLLING = "RUNNING";

/** Why a part is not ready, and since when if that is known. */
interface Lack {
  readonly reason: string;
  readonly sinceMs?: number;
}

/** Collects what shows that the process can do its work. @param now milliseconds since 1970. */
export function createReadiness(now: () => number = Date.now): Readiness {
  const startMs = now();
  const seenMs = new Map<Service, number>();
  const pollers = new Map<string, Poller>();
  const polling = createPart(startMs, now);
  const temporal = createPart(startMs, now);
  const database = createPart(startMs, now);
  const provider = createPart(startMs, now);
  const lackOf = (service: Service) => whyUnseen(service, seenMs.get(service), now());
  return {
    seen: (service) => void seenMs.set(service, now()),
    unseenMs: (service) => now() - (seenMs.get(service) ?? Number.NEGATIVE_INFINITY),
    polls: (taskQueue, poller) => void pollers.set(taskQueue, poller),
    report() {
      const parts = {
        polling: polling(whyNotPolling(pollers)),
        temporal: temporal(lackOf("temporal")),
        database: database(lackOf("database")),
        provider: provider(lackOf("provider")),
      };
      return { ready: Object.values(parts).every(({ ready }) => ready), parts };
    },
  };
}

/** Remembers since when a part is as it is. */
function createPart(startMs: number, now: () => number): (lack: Lack | null) => PartState {
  let ready = false;
  let changedMs = startMs;
  return (lack) => {
    if (ready !== (lack === null)) {
      ready = lack === null;
      changedMs = lack?.sinceMs ?? now();
    }
    const state = { ready, since: new Date(changedMs).toISOString() };
    return lack === null ? state : { ...state, reason: lack.reason };
  };
}

function whyUnseen(service: Service, lastMs: number | undefined, nowMs: number): Lack | null {
  if (lastMs === undefined) {
    return { reason: "no call has succeeded since the start" };
  }
  const ageMs = nowMs - lastMs;
  const limitMs = SEEN_WITHIN_MS[service];
  if (ageMs <= limitMs) {
    return null;
  }
  const reason = `the last successful call was ${Math.round(ageMs / 1000)} s ago, more than ${limitMs / 1000} s`;
  return { reason, sinceMs: lastMs };
}

function whyNotPolling(pollers: ReadonlyMap<string, Poller>): Lack | null {
  if (pollers.size === 0) {
    return { reason: "the Temporal workers have not begun" };
  }
  const others = [...pollers]
    .map(([taskQueue, poller]) => `the Temporal worker of task queue ${taskQueue} is ${poller.getState()}`)
    .filter((text) => !text.endsWith(` ${POLLING}`));
  return others.length === 0 ? null : { reason: others.join("; ") };
}
