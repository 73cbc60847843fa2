import { problemsOfPods } from "../../../activities/pod-request.ts";
import type { PodJobOrder } from "../../../contract/pod-job.ts";
import type { PoolSettings } from "../../../contract/pool-settings.ts";
import { volumeUsdPerMonth } from "../../../policy/volume-price.ts";
import type { NetworkVolume } from "../../../runpod/types.ts";
import { jobStore, volumeOfJob } from "../../../supabase/jobs/job-store.ts";
import { confirm } from "../../confirm.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findVolume, type JobGround, placeInWords, placesFor, withJobGround } from "../../jobs/ground.ts";
import { type EndedJob, followJob, howToEnd, jobInWords, startJob } from "../../jobs/run-job.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { chooseDataCenter } from "./data-center.ts";
import { makeVolume } from "./make-volume.ts";

export interface PrepareOptions extends PoolOptions {
  readonly sizeGb?: number;
  readonly dataCenter?: string;
  readonly yes?: boolean;
}

const DEFAULT_SIZE_GB = 100;
/** As many GPU types are tried in turn as one order holds. */
const MOST_TYPES = 10;
const ENOUGH_MEMORY_GB = 16;
const ENOUGH_VCPUS = 4;

/** Which volume the pool mounts, or the one that would be made. */
type Target =
  | { readonly kind: "there"; readonly volume: NetworkVolume; readonly growTo: number | null }
  | { readonly kind: "new"; readonly name: string; readonly sizeGb: number; readonly dataCenterId: string };

/** @throws ClientError where it cannot be prepared, or the preparation failed */
export async function prepareVolume(context: Context, options: PrepareOptions): Promise<void> {
  const pool = poolName(context, options);
  await withJobGround(context, pool, async (ground) => {
    if (ground.settings.workerProfile !== "headless-wan2gp") {
      nothingToPrepare(ground, options);
      return;
    }
    const found = await findVolume(ground);
    const running = found === null ? null : await preparing(ground, found.id);
    const id = running ?? (await begin(ground, found, options));
    const ended = await followJob(context, ground.database, { pool, id }, (job) =>
      context.output.progress(`${id}: ${jobInWords(job)}`),
    );
    show(ground, ended, options);
  });
}

function nothingToPrepare({ context, settings, pool }: JobGround, { json }: PrepareOptions): void {
  const { workerProfile: profile } = settings;
  const why =
    profile === "gpu-worker"
      ? "profile gpu-worker brings its program in its image"
      : "of profile custom only image and start command are known";
  if (json) {
    context.output.printJson({ pool, profile, state: "nothing_to_prepare", reason: why });
  } else {
    context.output.print(`pool ${pool} needs no prepared volume: ${why}`);
  }
}

/** The pod that prepares this volume now; null: none. */
async function preparing({ database, context }: JobGround, volumeId: string): Promise<string | null> {
  const jobs = await jobStore(database).living();
  const job = jobs.find(({ purpose, details }) => purpose === "volume-prepare" && volumeOfJob(details) === volumeId);
  if (job === undefined) {
    return null;
  }
  context.output.note(`pod ${job.worker_id} prepares volume ${volumeId} already; it is shown here`);
  return job.worker_id;
}

/** Shows what it costs, asks, makes or grows the volume, and starts the job. @returns the pod's name */
async function begin(ground: JobGround, found: NetworkVolume | null, options: PrepareOptions): Promise<string> {
  const { context, pool, settings, config } = ground;
  const target = await targetOf(ground, found, options);
  const dataCenterId = target.kind === "new" ? target.dataCenterId : target.volume.dataCenterId;
  const wanted = settingsOfPod(settings, dataCenterId, target.kind === "new" ? "new" : target.volume.id);
  const problems = problemsOfPods(config, wanted);
  if (problems.length > 0) {
    throw new ClientError(
      EXIT.failed,
      problems.map(({ message }) => message).join("; "),
      "Correct the pool's settings.",
    );
  }
  const places = await placesFor(ground, wanted, { id: wanted.networkVolumeId ?? "", dataCenterId });
  for (const line of plan(target, settings, placeInWords(places[0]))) {
    context.output.note(line);
  }
  await confirm(context, "Go on?", options.yes === true);
  const volume = await realize(ground, target);
  const gpuTypes = [...new Set(places.map(({ gpuType }) => gpuType))].slice(0, MOST_TYPES);
  const id = await startJob(context, pool, orderOf(settings, volume, gpuTypes, places[0].usdPerHour));
  context.output.note(howToEnd(pool, id));
  return id;
}

async function targetOf(ground: JobGround, found: NetworkVolume | null, options: PrepareOptions): Promise<Target> {
  const { sizeGb, dataCenter } = options;
  if (found === null) {
    const dataCenterId = await chooseDataCenter(ground, dataCenter);
    return { kind: "new", name: ground.settings.storageName ?? "", sizeGb: sizeGb ?? DEFAULT_SIZE_GB, dataCenterId };
  }
  if (dataCenter !== undefined && found.dataCenterId !== null && dataCenter !== found.dataCenterId) {
    const detail = `volume ${found.id} is in ${found.dataCenterId}, not in ${dataCenter}`;
    throw new ClientError(EXIT.usage, detail, "A volume cannot move: leave --data-center out, or name another volume.");
  }
  const grows = sizeGb !== undefined && found.sizeGb !== null && sizeGb > found.sizeGb;
  return { kind: "there", volume: found, growTo: grows ? sizeGb : null };
}

/** The cheapest pod of the data center that can mount the volume. Its image is the workers' own. */
function settingsOfPod(settings: PoolSettings, dataCenterId: string | null, volumeId: string): PoolSettings {
  return {
    ...settings,
    gpuTypes: ["any"],
    clouds: ["SECURE"],
    dataCenterIds: dataCenterId === null ? [] : [dataCenterId],
    networkVolumeId: volumeId,
    minMemoryGb: Math.min(ENOUGH_MEMORY_GB, settings.minMemoryGb),
    minVcpuCount: Math.min(ENOUGH_VCPUS, settings.minVcpuCount),
    minGpuMemoryGb: 0,
    ramTierFallback: false,
  };
}

function plan(target: Target, settings: PoolSettings, place: string): readonly string[] {
  const price = (gb: number) => `$${volumeUsdPerMonth(gb).toFixed(2)} a month`;
  const volume =
    target.kind === "new"
      ? `a new one named ${target.name}, ${target.sizeGb} GB in ${target.dataCenterId}, ${price(target.sizeGb)}`
      : `${target.volume.id} in ${target.volume.dataCenterId ?? "an unknown data center"}, ` +
        (target.growTo === null
          ? `${target.volume.sizeGb ?? "?"} GB`
          : `grows from ${target.volume.sizeGb} to ${target.growTo} GB, ${price(target.growTo)}`);
  return [
    `volume: ${volume}`,
    `pod: ${place}, image ${settings.workerImage}, for at most ${Math.ceil(settings.volumePrepareTimeoutSec / 60)} minutes`,
    `code: ${settings.headlessWan2gpRepository} at ${settings.headlessWan2gpCommit}`,
    `models: ${settings.headlessWan2gpModels}; the pod asks their sizes, and stops before it fetches what does not fit`,
  ];
}

/** Makes or grows the volume. From now on it costs its price, until it is deleted. */
async function realize(ground: JobGround, target: Target): Promise<NetworkVolume> {
  const { runpod } = ground;
  if (target.kind === "there" && target.growTo === null) {
    return target.volume;
  }
  if (target.kind === "there") {
    const grown = await runpod.updateVolume(target.volume.id, { sizeGb: target.growTo ?? 0 });
    if (grown.kind !== "updated") {
      const detail = grown.kind === "absent" ? "it does not exist any more" : grown.detail;
      throw new ClientError(EXIT.failed, `volume ${target.volume.id} did not grow: ${detail}`, "Try again.");
    }
    return grown.volume;
  }
  return await makeVolume(ground, target);
}

function orderOf(
  settings: PoolSettings,
  volume: NetworkVolume,
  gpuTypes: readonly string[],
  priceUsdPerHour: number | null,
): PodJobOrder {
  const pod = settingsOfPod(settings, volume.dataCenterId, volume.id);
  const {
    clouds,
    dataCenterIds = [],
    networkVolumeId,
    minMemoryGb,
    minVcpuCount,
    minGpuMemoryGb,
    ramTierFallback,
  } = pod;
  return {
    purpose: "volume-prepare",
    settings: {
      // What was shown is what is rented and laid out, although the settings may change meanwhile.
      workerProfile: settings.workerProfile,
      workerImage: settings.workerImage,
      volumeMountPath: settings.volumeMountPath,
      headlessWan2gpFolder: settings.headlessWan2gpFolder,
      headlessWan2gpVenv: settings.headlessWan2gpVenv,
      headlessWan2gpPackages: settings.headlessWan2gpPackages,
      gpuTypes,
      clouds,
      dataCenterIds,
      networkVolumeId,
      minMemoryGb,
      minVcpuCount,
      minGpuMemoryGb,
      ramTierFallback,
    },
    variables: {
      PREPARE_IMAGE: settings.workerImage,
      PREPARE_REPOSITORY: settings.headlessWan2gpRepository,
      PREPARE_COMMIT: settings.headlessWan2gpCommit,
      PREPARE_MODELS: settings.headlessWan2gpModels,
      PREPARE_PYTHON: settings.headlessWan2gpPython,
      PREPARE_TORCH: settings.headlessWan2gpTorch,
      PREPARE_SIZE_GB: String(volume.sizeGb ?? DEFAULT_SIZE_GB),
    },
    timeoutSec: settings.volumePrepareTimeoutSec,
    gpuType: gpuTypes[0] ?? "",
    priceUsdPerHour,
  };
}

function show(
  { context, pool, settings }: JobGround,
  { id, result, record }: EndedJob,
  { json }: PrepareOptions,
): void {
  const { output } = context;
  const manifest = (record?.report as { manifest?: Manifest } | undefined)?.manifest ?? null;
  const costUsd = record?.workers.cost_usd ?? null;
  const volume = volumeOfJob(record?.details);
  if (json) {
    output.printJson({ pool, pod: id, volume, state: result.state, reason: result.reason, manifest, costUsd });
  } else if (result.state === "done") {
    const size = `${manifest?.fileCount ?? "?"} files of weights, ${((manifest?.bytes ?? 0) / 1e9).toFixed(1)} GB`;
    output.print(`volume ${volume ?? "?"} is prepared: ${size}, models ${settings.headlessWan2gpModels}`);
    output.print(`pod ${id} is gone and cost ${costUsd === null ? "an unknown sum" : `$${costUsd.toFixed(2)}`}`);
  }
  if (result.state !== "done") {
    const again = "What was done stays on the volume: gpu-pool volume prepare goes on from there.";
    const detail = `volume ${volume ?? "?"} was not prepared (pod ${id}): ${result.reason ?? result.state}`;
    throw new ClientError(EXIT.failed, detail, result.state === "refused" ? "Nothing was rented." : again);
  }
}

interface Manifest {
  readonly fileCount: number;
  readonly bytes: number;
}
