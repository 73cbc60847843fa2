import { type PreparedManifest, volumeFit, type VolumeFinding } from "../../../policy/volume-fit.ts";
import { jobStore } from "../../../supabase/jobs/job-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findVolume, withJobGround } from "../../jobs/ground.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { plain } from "../../render/output.ts";

const NAME_WIDTH = 13;
const INSIDE =
  "Whether the files are still there, only a pod can see: gpu-pool doctor --spawn-test looks for the manifest, and gpu-pool " +
  "volume prepare asks every length again.";

/** @throws ClientError where the volume is missing, was never prepared, or does not fit the settings */
export async function checkVolume(context: Context, options: PoolOptions): Promise<void> {
  const pool = poolName(context, options);
  await withJobGround(context, pool, async (ground) => {
    const { output } = context;
    const { workerProfile: profile } = ground.settings;
    if (profile !== "headless-wan2gp") {
      const nothing = `pool ${pool} needs no prepared volume: its profile is ${profile}`;
      if (options.json) {
        output.printJson({ pool, profile, findings: [] });
      } else {
        output.print(nothing);
      }
      return;
    }
    const volume = await findVolume(ground);
    const prepared =
      volume && (await jobStore(ground.database).preparedVolumes()).find((each) => each.volume_id === volume.id);
    if (!volume || !prepared) {
      const which = volume === null ? `named ${ground.settings.storageName}` : volume.id;
      const what = volume === null ? "does not exist" : "was never prepared, as far as this database knows";
      throw new ClientError(EXIT.failed, `volume ${which} ${what}`, "Prepare it: gpu-pool volume prepare.");
    }
    const findings = volumeFit(ground.settings, prepared.manifest as PreparedManifest);
    if (options.json) {
      output.printJson({ pool, volume: volume.id, preparedAt: prepared.prepared_at, findings });
    } else {
      output.print([`volume ${volume.id}, prepared ${prepared.prepared_at}`, ...findings.map(line), "", INSIDE]);
    }
    if (findings.some(({ fits }) => !fits)) {
      const detail = `volume ${volume.id} does not fit the settings of pool ${pool}`;
      throw new ClientError(EXIT.failed, detail, "gpu-pool volume prepare lays out what is missing.");
    }
  });
}

function line({ what, fits, detail }: VolumeFinding): string {
  return `  ${fits ? "ok     " : "differs"}  ${what.padEnd(NAME_WIDTH)}${plain(detail)}`;
}
