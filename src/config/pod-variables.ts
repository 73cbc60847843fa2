import { CLOUDS, type OwnSettingGroups, WORKER_PROFILES } from "../contract/pool-settings.ts";
import { defaulted, list, oneOf, optional, someOf, text, textOrNone, type VariablesOf, whole } from "./kinds.ts";
import { workerEnvironment } from "./worker-environment.ts";

const absolutePath = text(/^\//, "an absolute path");
const id = textOrNone(/^\S+$/, "an id without blanks");

/** What a pod runs. */
export const launch = {
  workerProfile: defaulted(
    "WORKER_PROFILE",
    oneOf(WORKER_PROFILES),
    "headless-wan2gp",
    "Kind of worker that pods run; custom: image and start command are all that is known.",
  ),
  workerImage: defaulted(
    "RUNPOD_WORKER_IMAGE",
    text(),
    "runpod/pytorch:2.4.0-py3.11-cuda12.4.1-devel-ubuntu22.04",
    "Container image of every pod.",
    { aliases: ["RUNPOD_CONTAINER_IMAGE"] },
  ),
  workerTemplateId: optional("RUNPOD_TEMPLATE_ID", id, "Runpod template to start pods from."),
  workerStartCommand: optional(
    "WORKER_START_COMMAND",
    textOrNone(/\S/, "a command line for the shell of the pod"),
    "Command that a pod runs, by its own shell; unset lets the profile or the image choose.",
  ),
  workerEnv: defaulted(
    "WORKER_ENV",
    workerEnvironment(),
    "[]",
    "More variables for the pod: NAME=value, or NAME alone for a value of the Temporal worker's environment.",
  ),
  workerEngine: optional(
    "WORKER_ENGINE",
    oneOf(["preview"]),
    "Engine that workers generate with; unset lets the image choose.",
  ),
  containerDiskGb: defaulted("RUNPOD_CONTAINER_DISK_GB", whole(1, 10_000), "50", "Container disk of a pod, in GB.", {
    aliases: ["RUNPOD_CONTAINER_DISK_SIZE_GB"],
  }),
  volumeMountPath: defaulted("RUNPOD_VOLUME_MOUNT_PATH", absolutePath, "/workspace", "Where volumes are mounted."),
} satisfies VariablesOf<OwnSettingGroups>["launch"];

/** Where pods are rented. */
export const placement = {
  gpuTypes: defaulted(
    "RUNPOD_GPU_TYPE",
    list(1),
    "NVIDIA GeForce RTX 4090",
    "Runpod's ids of the GPU types that a pod may have, the best first.",
    { aliases: ["RUNPOD_INSTANCE_TYPE"] },
  ),
  clouds: defaulted("RUNPOD_CLOUD", someOf(CLOUDS), "SECURE", "Runpod's clouds to rent in, the best first."),
  dataCenterIds: optional(
    "RUNPOD_DATA_CENTER_IDS",
    list(),
    "Data centers to rent in, the best first; unset means any.",
  ),
  networkVolumeId: optional("RUNPOD_NETWORK_VOLUME_ID", id, "Network volume to mount in every pod."),
  minVcpuCount: defaulted("RUNPOD_MIN_VCPU_COUNT", whole(1, 1024), "8", "Fewest vCPUs that a pod may have."),
  minMemoryGb: defaulted("RUNPOD_MIN_MEMORY_GB", whole(1, 10_000), "32", "Smallest memory that a pod may have, in GB."),
} satisfies VariablesOf<OwnSettingGroups>["placement"];
