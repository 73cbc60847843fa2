import { randomBytes } from "node:crypto";
import type { CreateRequest } from "./create-request.ts";
import type { SimulatedPod } from "./pod.ts";
import { createPodLog } from "./pod-log.ts";
import { act, end, type PhaseDeps, provision } from "./pod-phases.ts";
import type { EndCause, PodAction } from "./types.ts";

export interface CreateVariation {
  /** Time in ms until lists show the pod. */
  readonly listLagMs?: number | undefined;
  readonly mute?: boolean;
  /** Fields that every answer shows in place of the true ones. */
  readonly oddFields?: Readonly<Record<string, unknown>>;
}

export interface Placement {
  readonly dataCenterId: string;
  readonly costPerHour: number;
}

/** All pods of one simulator. */
export interface Fleet {
  create(request: CreateRequest, placement: Placement, variation?: CreateVariation): SimulatedPod;
  /** Every pod ever, oldest first. */
  all(): readonly SimulatedPod[];
  /** The pods that a list shows now, newest first. */
  listed(): readonly SimulatedPod[];
  /** A pod that the API knows now. */
  find(id: string): SimulatedPod | undefined;
  /** The caller has checked that the pod's status allows the action. */
  act(pod: SimulatedPod, action: PodAction): void;
  end(pod: SimulatedPod, cause: EndCause): void;
  /** Sends SIGKILL to the pod's process; false when it has none. */
  kill(pod: SimulatedPod): boolean;
  /** Ends all pods and waits until their processes are gone. */
  close(): Promise<void>;
}

export type FleetDeps = Omit<PhaseDeps, "launching">;

export function createFleet(fleetDeps: FleetDeps): Fleet {
  const deps: PhaseDeps = { ...fleetDeps, launching: new Set() };
  const { now } = deps;
  const pods = new Map<string, SimulatedPod>();
  const isVisible = (pod: SimulatedPod): boolean => pod.hiddenFromMs === null || now() < pod.hiddenFromMs;

  return {
    create(request, placement, variation = {}) {
      const pod = newPod(request, placement, variation, pods.size + 1, now);
      pods.set(pod.id, pod);
      provision(deps, pod);
      return pod;
    },
    all: () => [...pods.values()],
    listed: () => [...pods.values()].filter((pod) => isVisible(pod) && pod.listedFromMs <= now()).reverse(),
    find(id) {
      const pod = pods.get(id);
      return pod && isVisible(pod) ? pod : undefined;
    },
    act: (pod, action) => act(deps, pod, action),
    end: (pod, cause) => end(deps, pod, cause),
    kill(pod) {
      pod.process?.kill();
      return pod.process !== null;
    },
    async close() {
      for (const pod of pods.values()) {
        if (pod.endedAtMs === null) {
          end(deps, pod, "simulator closed");
        }
      }
      await Promise.all(deps.launching);
      await Promise.all([...pods.values()].map((pod) => pod.ending));
    },
  };
}

function newPod(
  request: CreateRequest,
  placement: Placement,
  { listLagMs = 0, mute = false, oddFields = {} }: CreateVariation,
  sequence: number,
  now: () => number,
): SimulatedPod {
  const nowMs = now();
  return {
    id: randomBytes(7).toString("hex"),
    sequence,
    request,
    apiKey: `rpa_${randomBytes(16).toString("hex")}`,
    ...placement,
    createdAtMs: nowMs,
    listedFromMs: nowMs + listLagMs,
    mute,
    oddFields,
    billed: [],
    log: createPodLog(now),
    status: "PROVISIONING",
    runningAtMs: null,
    endedAtMs: null,
    endCause: null,
    hiddenFromMs: null,
    process: null,
    pid: null,
    exit: null,
    phaseTimer: null,
    generation: 0,
    ending: Promise.resolve(),
  };
}
