import type { PodSettings } from "../../contract/pool-settings.ts";

/** The settings that say what a pod runs, as in force for its pool. An empty text counts as unset. */
export type LaunchSettings = Pick<
  PodSettings,
  | "workerProfile"
  | "workerEngine"
  | "workerImage"
  | "workerTemplateId"
  | "workerStartCommand"
  | "workerEntrypoint"
  | "workerArgs"
  | "workerPorts"
  | "workerSshPublicKey"
  | "volumeMountPath"
  | "networkVolumeId"
  | "headlessWan2gpFolder"
  | "headlessWan2gpVenv"
  | "headlessWan2gpArgs"
  | "headlessWan2gpPackages"
  | "workerTaskTypes"
> & {
  /** A volume may be given by its name instead of its id. */
  readonly storageName?: string | undefined;
};
