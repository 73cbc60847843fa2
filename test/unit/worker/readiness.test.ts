import { describe, expect, it, vi } from "vitest";
import { startPulse } from "../../../src/worker/health/pulse.ts";
import { createReadiness, SEEN_WITHIN_MS } from "../../../src/worker/health/readiness.ts";

const SERVICES = ["temporal", "database", "provider"] as const;

function world() {
  const clock = { ms: Date.parse("2026-01-01T00:00:00Z") };
  const readiness = createReadiness(() => clock.ms);
  const worker = { state: "RUNNING", getState: () => worker.state };
  const everythingSeen = () => SERVICES.forEach((service) => readiness.seen(service));
  return { clock, readiness, worker, everythingSeen };
}

describe("readiness", () => {
  it("is complete once both Temporal workers poll and every service has answered", () => {
    const { readiness, worker, everythingSeen } = world();
    expect(readiness.report()).toMatchObject({
      ready: false,
      parts: {
        polling: { ready: false, reason: "the Temporal workers have not begun" },
        database: { ready: false, reason: "no call has succeeded since the start" },
      },
    });
    readiness.polls("gpu-pool", worker);
    readiness.polls("gpu-pool-runpod", worker);
    expect(readiness.report().ready).toBe(false);
    everythingSeen();
    expect(readiness.report()).toMatchObject({ ready: true, parts: { provider: { ready: true } } });
  });

  it.each(SERVICES)("ends when %s was not seen for too long, and says since when and why", (service) => {
    const { clock, readiness, worker, everythingSeen } = world();
    readiness.polls("gpu-pool", worker);
    everythingSeen();
    expect(readiness.report().ready).toBe(true);
    clock.ms += SEEN_WITHIN_MS[service];
    SERVICES.filter((other) => other !== service).forEach(readiness.seen);
    expect(readiness.report().ready).toBe(true);
    clock.ms += 1_000;
    const { ready, parts } = readiness.report();
    expect(ready).toBe(false);
    const limitSec = SEEN_WITHIN_MS[service] / 1_000;
    expect(parts[service]).toEqual({
      ready: false,
      since: "2026-01-01T00:00:00.000Z",
      reason: `the last successful call was ${limitSec + 1} s ago, more than ${limitSec} s`,
    });
    readiness.seen(service);
    expect(readiness.report().parts[service]).toEqual({ ready: true, since: new Date(clock.ms).toISOString() });
  });

  it("ends at once when a Temporal worker stops, and returns with the one that replaces it", () => {
    const { clock, readiness, worker, everythingSeen } = world();
    const provider = { getState: () => "RUNNING" };
    readiness.polls("gpu-pool", worker);
    readiness.polls("gpu-pool-runpod", provider);
    everythingSeen();
    expect(readiness.report().ready).toBe(true);
    clock.ms += 5_000;
    worker.state = "DRAINING";
    const stopped = {
      ready: false,
      since: "2026-01-01T00:00:05.000Z",
      reason: "the Temporal worker of task queue gpu-pool is DRAINING",
    };
    expect(readiness.report().parts.polling).toEqual(stopped);
    clock.ms += 1_000;
    expect(readiness.report().parts.polling).toEqual(stopped);
    readiness.polls("gpu-pool", provider);
    expect(readiness.report().parts.polling).toEqual({ ready: true, since: "2026-01-01T00:00:06.000Z" });
  });
});

describe("the pulse", () => {
  it("asks a service only when nothing else has succeeded, and counts a success", async () => {
    vi.useFakeTimers();
    try {
      const readiness = createReadiness();
      readiness.seen("temporal");
      const asked: string[] = [];
      const probe = (service: string, answer: () => Promise<boolean>) => async () => {
        asked.push(service);
        return await answer();
      };
      const stop = startPulse(readiness, {
        temporal: probe("temporal", async () => true),
        provider: probe("provider", async () => {
          throw new Error("no answer");
        }),
      });
      await vi.advanceTimersByTimeAsync(14_000);
      expect(asked).toEqual(["provider"]);
      await vi.advanceTimersByTimeAsync(32_000);
      expect(asked).toEqual(["provider", "temporal", "temporal", "temporal"]);
      expect(readiness.report().parts).toMatchObject({ temporal: { ready: true }, provider: { ready: false } });
      stop();
      await vi.advanceTimersByTimeAsync(600_000);
      expect(asked).toHaveLength(4);
    } finally {
      vi.useRealTimers();
    }
  });
});
