import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Guardian } from "../process/guardian.ts";
import { processStartTime } from "../process/process-identity.ts";
import { type Program, projectProgram } from "../process/program.ts";
import { layOutContainer } from "./container-folder.ts";
import type { LaunchPod, PodProcess, PodToLaunch } from "./types.ts";

/** The variable by which a start command finds its volume. */
const MOUNT_PATH = "RUNPOD_VOLUME_MOUNT_PATH";

/**
 * Launches pods as child processes under the guardian, so that none outlives this process. A pod whose request names a
 * command runs it, unchanged; any other runs this project's GPU worker, whatever its image. Each runs in a folder of its
 * own that is deleted with it, with the pod's environment and only those of our variables that every process needs. A network volume is a folder that is
 * linked into the pod's own at the path of the mount. `RUNPOD_VOLUME_MOUNT_PATH` names the volume's folder itself, because
 * programs keep the path at which they were installed, and it must be the same in every pod.
 */
export function createPodLauncher({
  guardian,
  program = projectProgram("gpu-worker/main"),
}: {
  readonly guardian: Guardian;
  readonly program?: Program;
}): LaunchPod {
  return async (pod) => {
    const folder = join(dirname(pod.logPath), pod.id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const mountPath = await mount(pod, folder);
    const log = createWriteStream(pod.logPath, { flags: "a", mode: 0o600 });
    await once(log, "open");
    // On a full disk the log stops; without this listener the simulator would crash.
    log.on("error", () => undefined);
    const { PATH, HOME, TMPDIR, FFMPEG_PATH } = process.env;
    const [command, ...args] = pod.command ?? [program.command, ...program.args];
    const container = pod.command === null ? {} : await layOutContainer(folder, PATH);
    const managed = guardian.spawn(command, args, {
      name: `pod ${pod.name}`,
      cwd: folder,
      env: definedOnly({ PATH, HOME, TMPDIR, FFMPEG_PATH, ...pod.env, ...container, [MOUNT_PATH]: mountPath }),
      onLine(line) {
        log.write(`${line}\n`);
        pod.onLine(line);
      },
    });
    const startTime = processStartTime(managed.pid);
    const exited = managed.exited.then(async (exit) => {
      await new Promise<void>((resolve) => log.end(() => resolve()));
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
      return exit;
    });
    // The pid may belong to another process by then.
    const signal = (pid: number, name: "SIGTERM" | "SIGKILL"): void => {
      if (startTime !== null && processStartTime(managed.pid) === startTime) {
        trySignal(pid, name);
      }
    };
    const podProcess: PodProcess = {
      pid: managed.pid,
      exited,
      async stop(graceMs) {
        signal(managed.pid, "SIGTERM");
        const timer = setTimeout(podProcess.kill, graceMs);
        await exited;
        clearTimeout(timer);
      },
      kill: () => signal(-managed.pid, "SIGKILL"),
    };
    return podProcess;
  };
}

/** @returns the value for `RUNPOD_VOLUME_MOUNT_PATH`; undefined where neither the pod nor its environment has one. */
async function mount({ mounts, env }: PodToLaunch, folder: string): Promise<string | undefined> {
  for (const { path, folder: target } of mounts) {
    const link = within(folder, path);
    await mkdir(dirname(link), { recursive: true });
    await symlink(target, link);
  }
  const named = env[MOUNT_PATH];
  // A path of the container must not lead to one of this machine.
  return mounts[0]?.folder ?? (named === undefined ? undefined : within(folder, named));
}

function within(folder: string, path: string): string {
  return join(folder, resolve("/", path));
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function trySignal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // The process ended between the check and the signal.
  }
}
