import type { Action } from "../../src/contract/plan.ts";
import type { Observation, ObservedWorker } from "../../src/policy/observation.ts";
import type { Circumstances, Sizing } from "../../src/backtest/world.ts";

/** Another system's rule, as published, and which resting worker gets the next task there. */
export interface Peer {
  readonly name: string;
  readonly claims: Circumstances["claims"];
  readonly sizing: Sizing;
}

/** New ones at each call: some keep a state. */
export function createPeers(bootSec: number): Peer[] {
  return [
    { name: "the incumbent's rule", claims: "random", sizing: incumbent() },
    { name: "Serverless-like (idle 5 s, delay 4 s)", claims: "least_rested", sizing: serverless() },
    { name: "SkyPilot-pool-like", claims: "random", sizing: skyPilotPool() },
    { name: "idle timeout = boot", claims: "least_rested", sizing: idleTimeout(bootSec) },
  ];
}

/** One worker for each queued or running task; looks every 30 s; surplus goes after 30 s of rest, all after 600 s. */
function incumbent(): Sizing {
  return peer(
    1_000,
    every(30, (seen) => {
      const { booting, resting, busy } = fleetOf(seen);
      const desired = seen.queued + busy.length;
      const present = booting.length + resting.length + busy.length;
      const limitSec = present > desired ? 30 : 600;
      const idle = resting.filter((worker) => restedSec(seen, worker) > limitSec);
      const surplus = Math.max(0, Math.min(idle.length, present - desired));
      const newestFirst = idle.toSorted((a, b) => b.createdMs - a.createdMs);
      return [...spawn(desired - present), ...newestFirst.slice(0, surplus).map(drain)];
    }),
  );
}

/** A worker for each task that has waited for 4 s and for which none boots; a worker leaves after 5 s of rest. */
function serverless(): Sizing {
  const queues: { readonly atMs: number; readonly queued: number }[] = [];
  return peer(1_000, (seen) => {
    queues.push({ atMs: seen.nowMs, queued: seen.queued });
    while ((queues[1]?.atMs ?? Infinity) <= seen.nowMs - 4_000) {
      queues.shift();
    }
    const hasPast = (queues[0]?.atMs ?? Infinity) <= seen.nowMs - 4_000;
    const late = hasPast ? Math.min(...queues.map(({ queued }) => queued)) : 0;
    const { booting, resting } = fleetOf(seen);
    return [...spawn(late - booting.length), ...resting.filter((worker) => restedSec(seen, worker) >= 5).map(drain)];
  });
}

/**
 * Looks every 20 s. From none to one at once; one more when more than one task was queued for 300 s; the resting ones leave
 * when nothing was queued for 1,200 s.
 */
function skyPilotPool(): Sizing {
  let [longSinceMs, emptySinceMs] = [Infinity, Infinity];
  return peer(
    5_000,
    every(20, (seen) => {
      const { booting, resting, busy } = fleetOf(seen);
      longSinceMs = seen.queued > 1 ? Math.min(longSinceMs, seen.nowMs) : Infinity;
      emptySinceMs = seen.queued === 0 ? Math.min(emptySinceMs, seen.nowMs) : Infinity;
      if (booting.length + resting.length + busy.length === 0) {
        return spawn(Math.min(1, seen.queued));
      }
      if (seen.nowMs - longSinceMs >= 300_000) {
        longSinceMs = seen.nowMs;
        return spawn(1);
      }
      return seen.nowMs - emptySinceMs >= 1_200_000 ? resting.map(drain) : [];
    }),
  );
}

/** The classic rule: a worker for each task that finds none, gone after resting as long as a boot takes. */
function idleTimeout(bootSec: number): Sizing {
  return peer(1_000, (seen) => {
    const { booting, resting } = fleetOf(seen);
    const leaving = resting.filter((worker) => restedSec(seen, worker) >= bootSec);
    return [...spawn(seen.queued - booting.length), ...leaving.map(drain)];
  });
}

function peer(lookMs: number, decide: Sizing["decide"]): Sizing {
  return { measures: null, keeps: 0, mindsTime: false, lookMs, decide };
}

/** Acts only when so many seconds have begun anew. */
function every(sec: number, decide: Sizing["decide"]): Sizing["decide"] {
  let last = -1;
  return (seen) => {
    const turn = Math.floor(seen.nowMs / (sec * 1000));
    if (turn === last) {
      return [];
    }
    last = turn;
    return decide(seen);
  };
}

function fleetOf({ fleet }: Observation) {
  return {
    booting: fleet.filter(({ status }) => status === "spawning"),
    resting: fleet.filter(({ status, task }) => status === "active" && task === null),
    busy: fleet.filter(({ status, task }) => status === "active" && task !== null),
  };
}

function restedSec({ nowMs }: Observation, { readyMs, releasedMs }: ObservedWorker): number {
  return (nowMs - Math.max(readyMs ?? nowMs, releasedMs ?? 0)) / 1000;
}

function spawn(count: number): Action[] {
  const caps = { maxHourlySpendUsd: null, dailyBudgetUsd: null };
  return count <= 0 ? [] : [{ kind: "spawn", count, max: count, intentVersion: 1, caps, reason: "" }];
}

function drain({ id }: ObservedWorker): Action {
  return { kind: "signal", worker: id, signal: { name: "drain", order: { reason: "", onlyIdle: true } } };
}
