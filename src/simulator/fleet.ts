import { randomBytes } from "node:crypto";
import type { CreateRequest } from "./create-request.ts";
import { imageOf, injectedEnv, type SimulatedPod } from "./pod.ts";
import { podLogPath } from "./pod-log.ts";
import type { SimulatorSettings } from "./settings.ts";
import type { EndCause, LaunchPod, PodAction, PodProcess, PodStatus } from "./types.ts";

export interface CreateVariation {
  /** Time in ms until lists show the pod. */
  readonly listLagMs?: number | undefined;
  readonly mute?: boolean;
}

export interface Placement {
  readonly dataCenterId: string;
  readonly costPerHour: number;
}

/** All pods of one simulator and everything that can happen to them. */
export interface Fleet {
  create(request: CreateRequest, placement: Placement, variation?: CreateVariation): SimulatedPod;
  /** Every pod ever, oldest first. */
  all(): readonly SimulatedPod[];
  /** What a list shows now, newest first. */
  listed(): readonly SimulatedPod[];
  /** A pod that the API knows now. */
  find(id: string): SimulatedPod | undefined;
  /** The caller has checked that the pod's status allows the action. */
  act(pod: SimulatedPod, action: PodAction): void;
  end(pod: SimulatedPod, cause: EndCause): void;
  /** SIGKILL to the pod's process; false when it has none. */
  kill(pod: SimulatedPod): boolean;
  /** Ends all pods and waits until their processes are gone. */
  close(): Promise<void>;
}

export interface FleetDeps {
  readonly settings: () => SimulatorSettings;
  readonly now: () => number;
  readonly launch: LaunchPod;
  readonly dataDir: string;
}

export function createFleet({ settings, now, launch, dataDir }: FleetDeps): Fleet {
  const pods = new Map<string, SimulatedPod>();
  const launching = new Set<Promise<void>>();

  const enter = (pod: SimulatedPod, status: PodStatus, note = ""): void => {
    pod.status = status;
    pod.systemLog.push(`${new Date(now()).toISOString()} ${status}${note && `: ${note}`}`);
    const span = pod.billed.at(-1);
    const billable = status !== "EXITED" && status !== "TERMINATED";
    if (billable && span?.toMs !== null) {
      pod.billed.push({ fromMs: now(), toMs: null });
    }
    if (!billable && span?.toMs === null) {
      span.toMs = now();
    }
  };

  const interrupt = (pod: SimulatedPod): void => {
    pod.generation++;
    if (pod.phaseTimer) {
      clearTimeout(pod.phaseTimer);
    }
    pod.phaseTimer = null;
  };

  const endProcess = (pod: SimulatedPod, graceMs: number): void => {
    const running = pod.process;
    if (!running) {
      return;
    }
    pod.process = null;
    const stopped = graceMs > 0 ? running.stop(graceMs) : Promise.resolve(running.kill());
    pod.ending = stopped.then(() => running.exited).then(() => undefined);
  };

  const provision = (pod: SimulatedPod): void => {
    enter(pod, "PROVISIONING");
    pod.phaseTimer = setTimeout(() => start(pod), settings().provisioningMs);
  };

  const start = (pod: SimulatedPod): void => {
    enter(pod, "STARTING");
    pod.phaseTimer = setTimeout(() => {
      const run = runContainer(pod).finally(() => launching.delete(run));
      launching.add(run);
    }, settings().startingMs);
  };

  const runContainer = async (pod: SimulatedPod): Promise<void> => {
    const { generation } = pod;
    await pod.ending;
    let launched: PodProcess | null = null;
    try {
      if (!pod.mute && pod.generation === generation) {
        launched = await launch(toLaunch(pod));
      }
    } catch (error) {
      if (pod.generation === generation) {
        enter(pod, "ERROR", `container not started: ${String(error)}`);
      }
      return;
    }
    pod.process = launched;
    if (launched) {
      pod.pid = launched.pid;
      pod.exit = null;
      watchExit(pod, launched);
    }
    if (pod.generation !== generation) {
      return endProcess(pod, settings().stopGraceMs);
    }
    pod.runningAtMs = now();
    enter(pod, "RUNNING");
  };

  const watchExit = (pod: SimulatedPod, launched: PodProcess): void => {
    void launched.exited.then((exit) => {
      pod.exit = exit;
      if (pod.process !== launched) {
        return;
      }
      pod.process = null;
      interrupt(pod);
      enter(pod, "EXITED", `container ended by itself: ${exit.signal ?? `code ${exit.code}`}`);
    });
  };

  const toLaunch = (pod: SimulatedPod) => ({
    id: pod.id,
    name: pod.request.name,
    image: imageOf(pod),
    cmd: pod.request.cmd ?? [],
    env: { ...pod.request.env, ...injectedEnv(pod) },
    logPath: podLogPath(dataDir, pod.id),
  });

  const visible = (pod: SimulatedPod): boolean => pod.hiddenFromMs === null || now() < pod.hiddenFromMs;

  const end = (pod: SimulatedPod, cause: EndCause): void => {
    interrupt(pod);
    enter(pod, "TERMINATED", cause);
    pod.endedAtMs = now();
    pod.endCause = cause;
    const vanished = cause === "vanished";
    pod.hiddenFromMs = now() + (vanished ? 0 : settings().deleteLagSec * 1000);
    endProcess(pod, vanished ? 0 : settings().stopGraceMs);
  };

  return {
    create(request, placement, { listLagMs = 0, mute = false } = {}) {
      const pod: SimulatedPod = {
        id: randomBytes(7).toString("hex"),
        sequence: pods.size + 1,
        request,
        apiKey: `rpa_${randomBytes(16).toString("hex")}`,
        ...placement,
        createdAtMs: now(),
        listedFromMs: now() + listLagMs,
        mute,
        billed: [],
        systemLog: [],
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
      pods.set(pod.id, pod);
      provision(pod);
      return pod;
    },
    all: () => [...pods.values()],
    listed: () => [...pods.values()].filter((pod) => visible(pod) && pod.listedFromMs <= now()).reverse(),
    find(id) {
      const pod = pods.get(id);
      return pod && visible(pod) ? pod : undefined;
    },
    act(pod, action) {
      if (action === "terminate") {
        return end(pod, "terminated");
      }
      interrupt(pod);
      endProcess(pod, settings().stopGraceMs);
      if (action === "stop") {
        enter(pod, "EXITED", "stopped");
      } else if (action === "restart") {
        start(pod);
      } else {
        provision(pod);
      }
    },
    end,
    kill(pod) {
      pod.process?.kill();
      return pod.process !== null;
    },
    async close() {
      for (const pod of pods.values()) {
        if (pod.endedAtMs === null) {
          end(pod, "simulator closed");
        }
      }
      await Promise.all(launching);
      await Promise.all([...pods.values()].map((pod) => pod.ending));
    },
  };
}
