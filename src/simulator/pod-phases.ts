import { volumePath } from "./account/volumes.ts";
import { networkMountsOf } from "./create-request.ts";
import { imageOf, injectedEnv, type SimulatedPod } from "./pod.ts";
import type { CreateRequest } from "./create-request.ts";
import { podLogPath } from "./pod-log.ts";
import type { SimulatorSettings } from "./settings.ts";
import type { EndCause, LaunchPod, PodAction, PodProcess, PodStatus, PodToLaunch } from "./types.ts";

export interface PhaseDeps {
  readonly settings: () => SimulatorSettings;
  readonly now: () => number;
  readonly launch: LaunchPod;
  readonly dataDir: string;
  /** Launches that are under way. */
  readonly launching: Set<Promise<void>>;
}

/** Begins the phases PROVISIONING, STARTING, RUNNING. */
export function provision(deps: PhaseDeps, pod: SimulatedPod): void {
  enter(deps, pod, "PROVISIONING");
  pod.phaseTimer = setTimeout(() => start(deps, pod), deps.settings().provisioningMs);
}

/** Does an action of the API. The caller has checked that the pod's status allows it. */
export function act(deps: PhaseDeps, pod: SimulatedPod, action: PodAction): void {
  if (action === "terminate") {
    return end(deps, pod, "terminated");
  }
  interrupt(pod);
  endProcess(pod, deps.settings().stopGraceMs);
  if (action === "stop") {
    enter(deps, pod, "EXITED", "stopped");
  } else if (action === "restart") {
    start(deps, pod);
  } else {
    provision(deps, pod);
  }
}

export function end(deps: PhaseDeps, pod: SimulatedPod, cause: EndCause): void {
  interrupt(pod);
  enter(deps, pod, "TERMINATED", cause);
  pod.endedAtMs = deps.now();
  pod.endCause = cause;
  const vanished = cause === "vanished";
  pod.hiddenFromMs = deps.now() + (vanished ? 0 : deps.settings().deleteLagSec * 1000);
  endProcess(pod, vanished ? 0 : deps.settings().stopGraceMs);
}

function enter({ now }: PhaseDeps, pod: SimulatedPod, status: PodStatus, note = ""): void {
  pod.status = status;
  pod.log.add("system", `${status}${note && `: ${note}`}`);
  const span = pod.billed.at(-1);
  const billable = status !== "EXITED" && status !== "TERMINATED";
  if (billable && span?.toMs !== null) {
    pod.billed.push({ fromMs: now(), toMs: null });
  }
  if (!billable && span?.toMs === null) {
    span.toMs = now();
  }
}

function interrupt(pod: SimulatedPod): void {
  pod.generation++;
  if (pod.phaseTimer) {
    clearTimeout(pod.phaseTimer);
  }
  pod.phaseTimer = null;
}

function endProcess(pod: SimulatedPod, graceMs: number): void {
  const running = pod.process;
  if (!running) {
    return;
  }
  pod.process = null;
  const stopped = graceMs > 0 ? running.stop(graceMs) : Promise.resolve(running.kill());
  pod.ending = stopped.then(() => running.exited).then(() => undefined);
}

function start(deps: PhaseDeps, pod: SimulatedPod): void {
  enter(deps, pod, "STARTING");
  pod.phaseTimer = setTimeout(() => {
    const run = runContainer(deps, pod).finally(() => deps.launching.delete(run));
    deps.launching.add(run);
  }, deps.settings().startingMs);
}

async function runContainer(deps: PhaseDeps, pod: SimulatedPod): Promise<void> {
  const { generation } = pod;
  await pod.ending;
  if (pod.generation === generation && !mayPull(deps, pod)) {
    const why = `pulling ${imageOf(pod)} failed: pull access denied, repository does not exist or may require a login`;
    return enter(deps, pod, "ERROR", why);
  }
  let launched: PodProcess | null = null;
  try {
    if (!pod.mute && pod.generation === generation) {
      launched = await deps.launch(toLaunch(deps, pod));
    }
  } catch (error) {
    if (pod.generation === generation) {
      enter(deps, pod, "ERROR", `container not started: ${String(error)}`);
    }
    return;
  }
  pod.process = launched;
  if (launched) {
    pod.pid = launched.pid;
    pod.exit = null;
    watchExit(deps, pod, launched);
  }
  if (pod.generation !== generation) {
    return endProcess(pod, deps.settings().stopGraceMs);
  }
  pod.runningAtMs = deps.now();
  enter(deps, pod, "RUNNING");
}

function mayPull({ settings }: PhaseDeps, pod: SimulatedPod): boolean {
  const isPrivate = settings().privateImages.some((prefix) => imageOf(pod).startsWith(prefix));
  return !isPrivate || pod.request.registry !== undefined;
}

function watchExit(deps: PhaseDeps, pod: SimulatedPod, launched: PodProcess): void {
  void launched.exited.then((exit) => {
    pod.exit = exit;
    if (pod.process !== launched) {
      return;
    }
    pod.process = null;
    interrupt(pod);
    enter(deps, pod, "EXITED", `container ended by itself: ${exit.signal ?? `code ${exit.code}`}`);
  });
}

function toLaunch({ dataDir }: PhaseDeps, pod: SimulatedPod): PodToLaunch {
  return {
    id: pod.id,
    name: pod.request.name,
    image: imageOf(pod),
    command: commandOf(pod.request),
    env: { ...pod.request.env, ...injectedEnv(pod) },
    mounts: networkMountsOf(pod.request).map(({ volumeId, path }) => ({ path, folder: volumePath(dataDir, volumeId) })),
    logPath: podLogPath(dataDir, pod.id),
    onLine: (line) => pod.log.add("container", line),
  };
}

/** The image's own entrypoint is unknown here and taken as one that runs what follows, as that of Runpod's images does. */
function commandOf({ entrypoint = [], cmd = [], args }: CreateRequest): PodToLaunch["command"] {
  const given = args === undefined ? cmd : ["/bin/sh", "-c", `exec ${args}`];
  const [program, ...rest] = [...entrypoint, ...given];
  return program === undefined ? null : [program, ...rest];
}
