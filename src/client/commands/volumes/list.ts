import { type Config, loadConfig } from "../../../config/config.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import { volumeUsdPerMonth } from "../../../policy/volume-price.ts";
import type { NetworkVolume } from "../../../runpod/types.ts";
import { jobStore, volumeOfJob } from "../../../supabase/jobs/job-store.ts";
import { settingsOfPools, type StoredSettings } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { withJobGround } from "../../jobs/ground.ts";
import { plain, type Style } from "../../render/output.ts";
import { renderTable } from "../../render/table.ts";

export interface ListedVolume {
  readonly id: string;
  readonly name: string | null;
  readonly sizeGb: number | null;
  readonly dataCenterId: string | null;
  /** Null: its size is not known. */
  readonly usdPerMonth: number | null;
  /** Pools of this database whose settings name it. */
  readonly pools: readonly string[];
  /** As this database knows: when and what; null: never by this database. */
  readonly prepared: { readonly at: string; readonly models: readonly string[] } | null;
  readonly preparedNowBy: string | null;
}

/** The account's volumes, also those of others. @throws ClientError where the provider does not answer */
export async function listVolumes(context: Context, { json = false }: { readonly json?: boolean }): Promise<void> {
  const { name } = loadConfig(context.env, { need: [] }).pool;
  await withJobGround(context, name, async ({ runpod, database, config }) => {
    const [answer, pools, prepared, jobs] = await Promise.all([
      runpod.listVolumes(),
      settingsOfPools(database),
      jobStore(database).preparedVolumes(),
      jobStore(database).living(),
    ]);
    if (answer.kind === "unknown") {
      throw new ClientError(EXIT.unreachable, `the account's volumes are not known: ${answer.detail}`, "Try again.");
    }
    const users = usersOf(config, pools, answer.volumes);
    const volumes = answer.volumes.map((volume): ListedVolume => {
      const known = prepared.find((each) => each.volume_id === volume.id);
      const manifest = known?.manifest as { models?: string[] } | undefined;
      const job = jobs.find(
        ({ purpose, details }) => purpose === "volume-prepare" && volumeOfJob(details) === volume.id,
      );
      const { id, name: volumeName, sizeGb, dataCenterId } = volume;
      return {
        id,
        name: volumeName,
        sizeGb,
        dataCenterId,
        usdPerMonth: sizeGb === null ? null : Math.round(volumeUsdPerMonth(sizeGb) * 100) / 100,
        pools: users.get(id) ?? [],
        prepared: known === undefined ? null : { at: known.prepared_at, models: manifest?.models ?? [] },
        preparedNowBy: job?.worker_id ?? null,
      };
    });
    if (json) {
      context.output.printJson({ volumes, unnamed: answer.unnamed });
    } else {
      context.output.print(renderVolumes(volumes, context.output.size().columns, context.output.style));
    }
  });
}

/** By the id of the volume. A name that several volumes have names none of them. */
function usersOf(
  config: Config,
  pools: ReadonlyMap<string, StoredSettings>,
  volumes: readonly NetworkVolume[],
): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const [pool, { environment, own }] of pools) {
    const { networkVolumeId, storageName } = settingsInForce(config, environment, own);
    const named = volumes.filter((volume) =>
      networkVolumeId ? volume.id === networkVolumeId : volume.name === storageName,
    );
    const [volume] = named;
    if (volume !== undefined && named.length === 1) {
      users.set(volume.id, [...(users.get(volume.id) ?? []), pool]);
    }
  }
  return users;
}

/** As lines of at most `width` characters. */
export function renderVolumes(volumes: readonly ListedVolume[], width: number, style: Style): string[] {
  if (volumes.length === 0) {
    return ["the account has no network volumes; gpu-pool volume prepare makes one"];
  }
  return renderTable(
    [
      { title: "VOLUME", value: ({ id }: ListedVolume) => plain(id) },
      { title: "NAME", value: ({ name }) => plain(name ?? "?") },
      { title: "GB", value: ({ sizeGb }) => String(sizeGb ?? "?"), align: "right" },
      { title: "DATA CENTER", value: ({ dataCenterId }) => plain(dataCenterId ?? "?") },
      { title: "$/MONTH", value: ({ usdPerMonth }) => usdPerMonth?.toFixed(2) ?? "?", align: "right" },
      { title: "POOLS", value: ({ pools }) => plain(pools.join(", ") || "–") },
      { title: "PREPARED", value: preparedInWords },
    ],
    volumes,
    width,
    style,
  );
}

function preparedInWords({ prepared, preparedNowBy }: ListedVolume): string {
  if (preparedNowBy !== null) {
    return `now, by pod ${plain(preparedNowBy)}`;
  }
  return prepared === null
    ? "not that this database knows"
    : `${prepared.at.slice(0, 10)}: ${plain(prepared.models.join(" "))}`;
}
