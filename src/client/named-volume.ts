import type { PodSettings } from "../contract/pool-settings.ts";
import type { RunpodClient } from "../runpod/client.ts";
import type { NetworkVolume } from "../runpod/types.ts";

/** The network volume that a pool's settings name, compared with the account. `problem` and `remedy` are for people. */
export type NamedVolume =
  | { readonly kind: "found"; readonly volume: NetworkVolume }
  /** The settings name no volume. */
  | { readonly kind: "unset" }
  /** No volume has the name yet. */
  | { readonly kind: "absent"; readonly problem: string; readonly remedy: string }
  /** The settings name something that cannot be used as it is. */
  | { readonly kind: "wrong"; readonly problem: string; readonly remedy: string }
  /** The provider did not say. */
  | { readonly kind: "unknown"; readonly problem: string };

/** Finds the volume by its id, else by its name. */
export async function findNamedVolume(
  runpod: Pick<RunpodClient, "getVolume" | "findVolume">,
  { networkVolumeId: id, storageName: name }: Pick<PodSettings, "networkVolumeId" | "storageName">,
): Promise<NamedVolume> {
  if (!id && !name) {
    return { kind: "unset" };
  }
  const found = id ? await runpod.getVolume(id) : await runpod.findVolume(name ?? "");
  switch (found.kind) {
    case "found":
      return { kind: "found", volume: found.volume };
    case "absent":
      return id
        ? {
            kind: "wrong",
            problem: `the account has no network volume ${id} (RUNPOD_NETWORK_VOLUME_ID)`,
            remedy: "gpu-pool volume list shows the volumes; one can only be made by a name (RUNPOD_STORAGE_NAME).",
          }
        : {
            kind: "absent",
            problem: `the account has no network volume named ${name} (RUNPOD_STORAGE_NAME)`,
            remedy: "gpu-pool volume prepare makes one; gpu-pool volume list shows the volumes.",
          };
    case "several":
      return {
        kind: "wrong",
        problem: `${found.volumes.length} network volumes are named ${name}: ${found.volumes.map((each) => each.id).join(", ")}`,
        remedy: "Set RUNPOD_NETWORK_VOLUME_ID to one of them.",
      };
    case "unknown":
      return { kind: "unknown", problem: `the provider's volumes are not known: ${found.detail}` };
  }
}
