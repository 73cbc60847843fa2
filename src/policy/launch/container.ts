import type { LaunchSettings } from "./settings.ts";
import { namedTypes } from "./task-types.ts";
import { EXEC_SCRIPT, HEADLESS_WAN2GP_SCRIPT, scriptFor } from "./start-script.ts";

/** The parts of a create request that say what the pod runs. */
export interface Container {
  readonly image: string;
  readonly templateId?: string;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly ports?: readonly string[];
  readonly startSsh?: boolean;
}

const SHELL = ["/bin/sh", "-c"];
const SSH_PORT = "22/tcp";

/** What a pod of this profile runs. The same for every worker: what differs stands in the pod's environment. */
export function containerOf(settings: LaunchSettings): Container {
  const { workerImage, workerTemplateId, workerPorts, workerSshPublicKey } = settings;
  const ports = workerSshPublicKey ? [...new Set([...workerPorts, SSH_PORT])] : workerPorts;
  return {
    image: workerImage,
    ...(workerTemplateId ? { templateId: workerTemplateId } : {}),
    ...programOf(settings),
    ...(ports.length > 0 ? { ports } : {}),
    // Without it, the provider gives port 22 no public address.
    ...(workerSshPublicKey ? { startSsh: true } : {}),
  };
}

/** Nothing: the image's own program, which our GPU worker's image has. */
function programOf(settings: LaunchSettings): Pick<Container, "entrypoint" | "cmd"> {
  const { workerProfile, workerStartCommand, workerEntrypoint, workerArgs } = settings;
  if (workerStartCommand) {
    return { entrypoint: SHELL, cmd: [scriptFor(workerStartCommand)] };
  }
  if (workerEntrypoint.length > 0) {
    return { entrypoint: [...SHELL, EXEC_SCRIPT, "gpu-pool"], cmd: [...workerEntrypoint, ...workerArgs] };
  }
  return workerProfile === "headless-wan2gp" ? { entrypoint: SHELL, cmd: [HEADLESS_WAN2GP_SCRIPT] } : {};
}

/** Variables that the start command reads, besides those that every pod has. None of them is secret. */
export function launchEnvironment(settings: LaunchSettings, endsAtMs: number): Record<string, string> {
  const { workerProfile, volumeMountPath, workerSshPublicKey, workerTaskTypes } = settings;
  return {
    RUNPOD_VOLUME_MOUNT_PATH: volumeMountPath,
    // For shells, which cannot read the date of POD_ENDS_AT everywhere.
    POD_ENDS_AT_SEC: String(Math.ceil(endsAtMs / 1000)),
    ...(workerSshPublicKey ? { PUBLIC_KEY: workerSshPublicKey } : {}),
    ...statedTypes(workerTaskTypes),
    ...(workerProfile === "headless-wan2gp"
      ? {
          HEADLESS_WAN2GP_FOLDER: settings.headlessWan2gpFolder,
          HEADLESS_WAN2GP_VENV: settings.headlessWan2gpVenv,
          HEADLESS_WAN2GP_ARGS: settings.headlessWan2gpArgs ?? "",
          // An empty variable of ours counts as unset, so this is how to say that there are none.
          HEADLESS_WAN2GP_PACKAGES: settings.headlessWan2gpPackages === "none" ? "" : settings.headlessWan2gpPackages,
        }
      : {}),
  };
}

/** Our program does these alone, of what it can do; `any` changes nothing. */
function statedTypes(names: readonly string[] | undefined): { readonly WORKER_TASK_TYPES?: string } {
  const types = names === undefined ? null : namedTypes(names);
  return types === null ? {} : { WORKER_TASK_TYPES: JSON.stringify(types) };
}
