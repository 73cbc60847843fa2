import { isPrivateAddress } from "./addresses.ts";
import type { LaunchSettings } from "./settings.ts";

/** What is not a pool's to set. */
export interface LaunchGround {
  readonly apiUrl: string;
  readonly supabaseUrl: string;
  /** The address that pods get in place of `supabaseUrl`; undefined: they get that one. */
  readonly publicUrl?: string | undefined;
  readonly credential: "token" | "service_role";
  /** Whether rented pods may draw previews instead of running a model. */
  readonly allowPreview: boolean;
  /** Values that no setting may hold, by the variable that has each. */
  readonly secrets: Readonly<Record<string, string | undefined>>;
}

/** Settings that cannot work. The message names the variable, and never holds a secret. */
export interface LaunchProblem {
  readonly variable: string;
  readonly message: string;
}

/** The image that has a default is not the image of our GPU worker. */
export const DEFAULT_IMAGE = "runpod/pytorch:2.4.0-py3.11-cuda12.4.1-devel-ubuntu22.04";
/** Shorter values may be ordinary words. */
const SHORTEST_SECRET_CHARS = 8;

/** Whether pods are machines that somebody rents out; the simulator's pods are processes of this machine. */
export function isRented({ apiUrl }: Pick<LaunchGround, "apiUrl">): boolean {
  return !isPrivateAddress(apiUrl);
}

/** Why no pool of this process could have a pod that works, whatever the pool's own settings are. */
export function groundProblems(ground: LaunchGround): LaunchProblem[] {
  if (!isRented(ground)) {
    return [];
  }
  const variable = ground.publicUrl === undefined ? "SUPABASE_URL" : "SUPABASE_PUBLIC_URL";
  const url = ground.publicUrl ?? ground.supabaseUrl;
  const advice =
    "give the project's public address; where this process uses an inner one, set SUPABASE_PUBLIC_URL for the pods";
  if (isPrivateAddress(url)) {
    const why = "a rented pod cannot reach this address, which is of this machine or of a private network";
    return [{ variable, message: `${variable}=${url}: ${why}; ${advice}` }];
  }
  if (new URL(url).protocol !== "https:") {
    const why = "a rented pod would send its token and its files in clear text";
    return [{ variable, message: `${variable}=${url}: ${why}; give an https address` }];
  }
  return [];
}

/** Why pods with these settings could not work, so that none is rented to find it out; none: empty. */
export function launchProblems(settings: LaunchSettings, ground: LaunchGround): LaunchProblem[] {
  return [
    ...groundProblems(ground),
    ...imageProblems(settings, ground),
    ...programProblems(settings),
    ...engineProblems(settings, ground),
    ...volumeProblems(settings, ground),
    ...credentialProblems(settings, ground),
    ...secretProblems(settings, ground),
  ];
}

function problem(variable: string, message: string): LaunchProblem {
  return { variable, message: `${variable}: ${message}` };
}

function imageProblems({ workerProfile, workerImage, workerTemplateId }: LaunchSettings, ground: LaunchGround) {
  if (workerImage.trim() === "" && !workerTemplateId) {
    return [problem("RUNPOD_WORKER_IMAGE", `profile ${workerProfile} needs an image; name one`)];
  }
  if (workerProfile === "gpu-worker" && workerImage === DEFAULT_IMAGE && !workerTemplateId && isRented(ground)) {
    const why = `${DEFAULT_IMAGE}, the default, does not hold the program of WORKER_PROFILE=gpu-worker`;
    return [problem("RUNPOD_WORKER_IMAGE", `${why}; name the image that you built`)];
  }
  return [];
}

/** Our program refuses the same, but only once its pod is paid for. */
function engineProblems({ workerProfile, workerEngine, workerStartCommand }: LaunchSettings, ground: LaunchGround) {
  if (workerEngine === "preview" && workerProfile !== "headless-wan2gp" && isRented(ground) && !ground.allowPreview) {
    const why = "preview runs no model, so a rented GPU would do nothing";
    return [problem("WORKER_ENGINE", `${why}; set ALLOW_PREVIEW=1 if that is wanted`)];
  }
  if (workerProfile === "gpu-worker" && workerEngine === undefined && !workerStartCommand) {
    return [problem("WORKER_ENGINE", "profile gpu-worker needs an engine; only preview exists, and runs no model")];
  }
  return [];
}

function programProblems({ workerProfile, workerStartCommand, workerEntrypoint, workerArgs }: LaunchSettings) {
  const found: LaunchProblem[] = [];
  if (workerStartCommand && (workerEntrypoint.length > 0 || workerArgs.length > 0)) {
    found.push(problem("WORKER_START_COMMAND", "set either it, or WORKER_ENTRYPOINT with WORKER_ARGS"));
  } else if (workerArgs.length > 0 && workerEntrypoint.length === 0) {
    found.push(problem("WORKER_ARGS", "arguments need the program in WORKER_ENTRYPOINT"));
  } else if (workerProfile === "custom" && !workerStartCommand && workerEntrypoint.length === 0) {
    const why = "nothing in the pod would end it at its maximum lifetime if the image's own program ran";
    found.push(problem("WORKER_START_COMMAND", `profile custom needs it, or WORKER_ENTRYPOINT: ${why}`));
  }
  if (workerProfile !== "custom" && workerEntrypoint.length > 0) {
    found.push(problem("WORKER_ENTRYPOINT", `only WORKER_PROFILE=custom has one, and it is ${workerProfile}`));
  }
  return found;
}

/** The simulator mounts a folder in every pod. */
function volumeProblems(settings: LaunchSettings, ground: LaunchGround) {
  const { workerProfile, workerStartCommand = "", workerEntrypoint, workerArgs } = settings;
  if (settings.networkVolumeId || settings.storageName || !isRented(ground)) {
    return [];
  }
  if (workerProfile === "headless-wan2gp" && !workerStartCommand) {
    const why =
      "WORKER_PROFILE=headless-wan2gp runs from a volume that holds Headless-Wan2GP, its venv and its weights";
    return [problem("RUNPOD_NETWORK_VOLUME_ID", `${why}; name the volume`)];
  }
  if (
    [workerStartCommand, ...workerEntrypoint, ...workerArgs].some((part) => part.includes("RUNPOD_VOLUME_MOUNT_PATH"))
  ) {
    return [problem("RUNPOD_NETWORK_VOLUME_ID", "the start command names RUNPOD_VOLUME_MOUNT_PATH; name the volume")];
  }
  return [];
}

function credentialProblems({ workerProfile }: LaunchSettings, { credential }: LaunchGround) {
  if (workerProfile !== "headless-wan2gp" || credential !== "service_role") {
    return [];
  }
  const why = "this worker needs a token only, and sends a service key to a third party's host";
  return [
    problem("WORKER_CREDENTIAL", `service_role is refused with WORKER_PROFILE=headless-wan2gp: ${why}; set token`),
  ];
}

/** Start commands are shown by the provider, and by this application to every operator. */
function secretProblems(settings: LaunchSettings, { secrets }: LaunchGround) {
  const texts = {
    WORKER_START_COMMAND: settings.workerStartCommand ?? "",
    WORKER_ENTRYPOINT: settings.workerEntrypoint.join("\n"),
    WORKER_ARGS: settings.workerArgs.join("\n"),
    HEADLESS_WAN2GP_ARGS: settings.headlessWan2gpArgs ?? "",
  };
  return Object.entries(texts).flatMap(([variable, text]) =>
    Object.entries(secrets)
      .filter(([, value]) => value !== undefined && value.length >= SHORTEST_SECRET_CHARS && text.includes(value))
      .map(([name]) =>
        problem(variable, `it holds the value of ${name}; the pod's own shell has to expand what is secret`),
      ),
  );
}
