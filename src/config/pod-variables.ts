import { CLOUDS, type OwnSettingGroups, WORKER_PROFILES } from "../contract/pool-settings.ts";
import {
  decimal,
  defaulted,
  flag,
  list,
  oneOf,
  optional,
  seconds,
  someOf,
  text,
  textOrNone,
  texts,
  type VariablesOf,
  whole,
} from "./kinds.ts";
import { workerEnvironment } from "./worker-environment.ts";

const absolutePath = text(/^\//, "an absolute path");
const relativePath = text(
  /^(?!.*(^|\/)\.\.(\/|$))[\w.-][\w./-]*$/,
  "a relative path of letters, digits, dots, dashes, underscores and slashes",
);
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
  workerEntrypoint: defaulted(
    "WORKER_ENTRYPOINT",
    texts(/^/),
    "[]",
    "Program of a custom image with its first arguments, where no start command is set.",
  ),
  workerArgs: defaulted("WORKER_ARGS", texts(/^/), "[]", "Further arguments of WORKER_ENTRYPOINT."),
  workerPorts: defaulted(
    "WORKER_PORTS",
    texts(/^[1-9]\d{0,4}\/(http|tcp)$/, "ports such as 8888/http or 22/tcp"),
    "[]",
    "Ports of the pod that the provider opens to the world; no profile needs one.",
  ),
  workerSshPublicKey: optional(
    "WORKER_SSH_PUBLIC_KEY",
    textOrNone(/^(ssh-|ecdsa-|sk-)\S+ \S+( .*)?$/, "a public key of SSH in one line, as in id_ed25519.pub"),
    "Whoever has its private key may log in to the pods, for diagnostics; unset: nobody may.",
  ),
  headlessWan2gpFolder: defaulted(
    "HEADLESS_WAN2GP_FOLDER",
    relativePath,
    "Headless-Wan2GP",
    "Folder of the checkout, below the mount of the volume.",
  ),
  headlessWan2gpVenv: defaulted(
    "HEADLESS_WAN2GP_VENV",
    relativePath,
    "venv",
    "Folder of its Python environment, below the checkout.",
  ),
  headlessWan2gpArgs: optional(
    "HEADLESS_WAN2GP_ARGS",
    textOrNone(/\S/, "arguments separated by blanks"),
    "More arguments of its worker.py, such as --preload-model NAME.",
  ),
  headlessWan2gpPackages: defaulted(
    "HEADLESS_WAN2GP_PACKAGES",
    textOrNone(/^[a-z0-9][a-z0-9+.: -]*$/, "names of Debian packages separated by blanks, or none"),
    "ffmpeg libgl1 libglib2.0-0",
    "Debian packages that a pod installs where its image lacks them.",
  ),
  headlessWan2gpRepository: defaulted(
    "HEADLESS_WAN2GP_REPOSITORY",
    text(/^(?!.*:\/\/[^/\s]*@)\S+$/, "an address that git can fetch from, without a password"),
    "https://github.com/peteromallet/Headless-Wan2GP.git",
    "Where gpu-pool volume prepare fetches Headless-Wan2GP from.",
  ),
  headlessWan2gpCommit: defaulted(
    "HEADLESS_WAN2GP_COMMIT",
    text(/^[0-9a-f]{40}$/, "a whole commit hash, 40 hexadecimal digits"),
    "50066ea8d2e9399b5f2aff2a62d9eada2e349a96",
    "Commit of Headless-Wan2GP that gpu-pool volume prepare lays out.",
  ),
  headlessWan2gpModels: defaulted(
    "HEADLESS_WAN2GP_MODELS",
    text(/^[\w.-]+( [\w.-]+)*$/, "names of models separated by blanks, as its Wan2GP/defaults has them"),
    "t2v_2_2 vace_14B_cocktail_2_2",
    "Models whose weights gpu-pool volume prepare lays out; others are fetched when a task first needs them.",
  ),
  headlessWan2gpPython: defaulted(
    "HEADLESS_WAN2GP_PYTHON",
    text(/^\S+$/, "a program's name or path"),
    "python3",
    "Python of the image that its environment is made with.",
  ),
  headlessWan2gpTorch: defaulted(
    "HEADLESS_WAN2GP_TORCH",
    text(/^(?!.*:\/\/[^/\s]*@)[\w=.,<>!~:/@+ -]+$/, "arguments of pip install separated by blanks, without a password"),
    "torch==2.7.1 torchvision==0.22.1 torchaudio==2.7.1 --index-url https://download.pytorch.org/whl/cu128",
    "Its PyTorch, as arguments of pip install; it has to fit the image and the GPU types.",
  ),
  volumePrepareTimeoutSec: defaulted(
    "VOLUME_PREPARE_TIMEOUT_SEC",
    seconds(1),
    "14400",
    "Longest time of one gpu-pool volume prepare, in seconds; what it did by then stays.",
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
    "Engine that workers of profile gpu-worker generate with; they have no default.",
  ),
  workerTaskTypes: optional(
    "WORKER_TASK_TYPES",
    texts(/^\S(.{0,198}\S)?$/, "names of task types of at most 200 characters, or any"),
    "Task types that the pool's workers do; gpu-worker, headless-wan2gp and headless-wan2gp-2025-08 stand for all of that program, any for all; unset: what the profile is known for.",
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
    "Runpod's ids of the GPU types that a pod may have, the best first; any: all of the catalog, the cheapest first.",
    { aliases: ["RUNPOD_INSTANCE_TYPE"] },
  ),
  clouds: defaulted("RUNPOD_CLOUD", someOf(CLOUDS), "SECURE", "Runpod's clouds to rent in, the best first."),
  dataCenterIds: optional(
    "RUNPOD_DATA_CENTER_IDS",
    list(),
    "Data centers to rent in, the best first; unset means any.",
  ),
  networkVolumeId: optional("RUNPOD_NETWORK_VOLUME_ID", id, "Network volume to mount in every pod."),
  storageName: optional(
    "RUNPOD_STORAGE_NAME",
    textOrNone(/\S/, "a name"),
    "Name of the network volume, where RUNPOD_NETWORK_VOLUME_ID is not set; it must be the only one of that name.",
  ),
  minVcpuCount: defaulted("RUNPOD_MIN_VCPU_COUNT", whole(1, 1024), "8", "Fewest vCPUs that a pod may have."),
  minMemoryGb: defaulted("RUNPOD_MIN_MEMORY_GB", whole(1, 10_000), "32", "Smallest memory that a pod may have, in GB."),
  ramTierFallback: defaulted(
    "RUNPOD_RAM_TIER_FALLBACK",
    flag(),
    "true",
    "Whether pods with 72, 60, 48, 32 and 16 GB of memory are asked for in turn, down to RUNPOD_MIN_MEMORY_GB.",
  ),
  minGpuMemoryGb: defaulted(
    "RUNPOD_MIN_GPU_MEMORY_GB",
    whole(0, 10_000),
    "0",
    "Smallest video memory of a GPU, in GB; 0: any.",
  ),
  maxPriceUsdPerHour: optional(
    "RUNPOD_MAX_PRICE_USD_PER_HOUR",
    decimal(0.001, 1_000),
    "Highest price of one pod, in USD an hour; unset means no limit.",
  ),
  placementCooldownSec: defaulted(
    "PLACEMENT_COOLDOWN_SEC",
    seconds(1),
    "60",
    "Time for which a place is not asked for again after a refusal, in seconds.",
  ),
} satisfies VariablesOf<OwnSettingGroups>["placement"];
