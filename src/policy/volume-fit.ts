import type { PoolSettings } from "../contract/pool-settings.ts";

/** What a preparation laid on a volume, as its pod reported it. Another version may have left parts out. */
export interface PreparedManifest {
  readonly image?: string | undefined;
  readonly repository?: string | undefined;
  readonly commit?: string | undefined;
  readonly folder?: string | undefined;
  readonly venv?: string | undefined;
  readonly torch?: string | undefined;
  readonly models?: readonly string[] | undefined;
}

export interface VolumeFinding {
  readonly what: string;
  readonly fits: boolean;
  readonly detail: string;
}

/** Whether a prepared volume fits the settings in force, part by part. */
export function volumeFit(settings: PoolSettings, manifest: PreparedManifest): readonly VolumeFinding[] {
  const same = (what: string, wanted: string, laid: string | undefined): VolumeFinding => ({
    what,
    fits: laid === wanted,
    detail: laid === wanted ? wanted : `the volume has ${laid ?? "none"}, the settings say ${wanted}`,
  });
  const laid = new Set(manifest.models);
  const wanted = settings.headlessWan2gpModels.split(" ");
  const missing = wanted.filter((model) => !laid.has(model));
  return [
    same("image", settings.workerImage, manifest.image),
    same("commit", settings.headlessWan2gpCommit, manifest.commit),
    same("folder", settings.headlessWan2gpFolder, manifest.folder),
    same("environment", settings.headlessWan2gpVenv, manifest.venv),
    same("torch", settings.headlessWan2gpTorch, manifest.torch),
    {
      what: "models",
      fits: missing.length === 0,
      detail: missing.length === 0 ? wanted.join(" ") : `the volume lacks ${missing.join(" ")}`,
    },
  ];
}
