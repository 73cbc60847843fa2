import { type BindingVolume, type Candidate, type Placement, placementOf, whyNone } from "../../policy/placement.ts";
import { type PreparedManifest, volumeFit } from "../../policy/volume-fit.ts";
import type { ListGpuTypesOutcome } from "../../runpod/catalog.ts";
import { jobStore } from "../../supabase/jobs/job-store.ts";
import { findNamedVolume } from "../named-volume.ts";
import { checkClock } from "./database.ts";
import { failed, type Finding, ok, reasonOf, skipped, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const KEYS_PAGE = "https://www.console.runpod.io/user/settings";

/** The GPU provider: key, places, volume, money. */
export async function checkProvider(subject: Subject): Promise<Finding[]> {
  const key = await checkKey(subject);
  if (key.state === "failed") {
    return [key];
  }
  const [volume, catalog, funds] = await Promise.all([
    findVolume(subject),
    subject.runpod.listGpuTypes(),
    checkFunds(subject),
  ]);
  return [
    key,
    funds,
    ...(volume.finding === null ? [] : [volume.finding]),
    ...(await checkPrepared(subject, volume.binding)),
    ...checkPlaces(subject, catalog, volume.binding),
    await checkClock("provider clock", subject.config.runpod.apiUrl),
  ];
}

async function checkKey({ runpod, config }: Subject): Promise<Finding> {
  const pods = await runpod.listPods();
  if (pods.kind === "complete") {
    return ok("provider key", `reads the account's pods (${pods.pods.length})`);
  }
  switch (pods.reason) {
    case "unauthorized":
      return failed("provider key", `RUNPOD_API_KEY is refused: ${pods.detail}`, `Make a new key: ${KEYS_PAGE}`);
    case "forbidden":
      return failed(
        "provider key",
        `RUNPOD_API_KEY may not read pods: ${pods.detail}`,
        `Give the key read and write access to the API: ${KEYS_PAGE}`,
      );
    default:
      return failed(
        "provider key",
        pods.detail,
        `Check RUNPOD_API_URL (${config.runpod.apiUrl}) and the provider's status page.`,
      );
  }
}

/** With less, the provider ends the pods of the account soon. */
const LOW_BALANCE_USD = 1;

async function checkFunds({ runpod }: Subject): Promise<Finding> {
  const balance = await runpod.getBalance();
  if (balance.kind !== "found" || balance.balance.balanceUsd === null) {
    return skipped("funds", balance.kind === "unknown" ? balance.detail : "the provider shows no balance to this key");
  }
  const { balanceUsd, spendUsdPerHour, spendLimitUsdPerHour } = balance.balance;
  const spend = spendUsdPerHour === null ? "" : `, spent at $${spendUsdPerHour} an hour`;
  const limit = spendLimitUsdPerHour === null ? "" : `, the provider's limit is $${spendLimitUsdPerHour} an hour`;
  return balanceUsd < LOW_BALANCE_USD
    ? failed(
        "funds",
        `the balance is $${balanceUsd.toFixed(2)}${spend}`,
        "Add credit: https://www.console.runpod.io/user/billing",
      )
    : ok("funds", `$${balanceUsd.toFixed(2)}${spend}${limit}`);
}

interface FoundVolume {
  readonly finding: Finding | null;
  readonly binding: BindingVolume | null;
}

/** By its id, else by its name; null where the pool has none. */
async function findVolume({ runpod, settings }: Subject): Promise<FoundVolume> {
  const named = await findNamedVolume(runpod, settings);
  switch (named.kind) {
    case "unset":
      return { finding: null, binding: null };
    case "found": {
      const { id, dataCenterId, sizeGb } = named.volume;
      const detail = `${id}, ${sizeGb ?? "?"} GB in ${dataCenterId ?? "an unknown data center"}`;
      return { finding: ok("volume", detail), binding: { id, dataCenterId } };
    }
    case "absent":
    case "wrong":
      return { finding: failed("volume", named.problem, named.remedy), binding: { problem: named.problem } };
    case "unknown": {
      const { networkVolumeId: id } = settings;
      return {
        finding: warning("volume", named.problem, "Try again."),
        binding: id ? { id, dataCenterId: null } : null,
      };
    }
  }
}

/** Compares the volume's last preparation with the settings. Only Headless-Wan2GP runs from it. */
async function checkPrepared({ database, settings }: Subject, volume: BindingVolume | null): Promise<Finding[]> {
  if (settings.workerProfile !== "headless-wan2gp" || volume === null || !("id" in volume)) {
    return [];
  }
  const remedy = "gpu-pool volume prepare";
  try {
    const prepared = (await jobStore(database).preparedVolumes()).find(({ volume_id: id }) => id === volume.id);
    if (prepared === undefined) {
      return [warning("prepared", `volume ${volume.id} was never prepared, as far as this database knows`, remedy)];
    }
    const wrong = volumeFit(settings, prepared.manifest as PreparedManifest).filter(({ fits }) => !fits);
    return wrong.length === 0
      ? [ok("prepared", `for the image, the commit and the models of the settings, ${prepared.prepared_at}`)]
      : [failed("prepared", wrong.map(({ what, detail }) => `${what}: ${detail}`).join("; "), remedy)];
  } catch (error) {
    return [warning("prepared", reasonOf(error), "gpu-pool db migrate")];
  }
}

/** GPU types, their prices and their stock, as the placement sees them. */
function checkPlaces(
  { settings, config }: Subject,
  catalog: ListGpuTypesOutcome,
  volume: BindingVolume | null,
): Finding[] {
  if (catalog.kind === "unknown") {
    return [warning("gpu types", catalog.detail, "Try again; pods are asked for without prices meanwhile.")];
  }
  const known = new Set(catalog.gpuTypes.map(({ id }) => id));
  const wrong = settings.gpuTypes.filter((type) => type !== "any" && !known.has(type));
  const types =
    wrong.length === 0
      ? ok("gpu types", settings.gpuTypes.join(", "))
      : failed("gpu types", `the catalog has no ${wrong.join(", ")}`, nearest(wrong[0] ?? "", [...known]));
  if (volume !== null && "problem" in volume) {
    return [types, skipped("places", "the volume is not known")];
  }
  const market = { catalog: catalog.gpuTypes, volume, misses: [], nowMs: Date.now() };
  const placement = placementOf(settings, market);
  const [best] = placement.open;
  return best === undefined ? [types, noPlace(placement)] : [types, place(best, placement), price(best, config.budget)];
}

function noPlace(placement: Placement): Finding {
  return placement.outOfStock > 0
    ? warning(
        "places",
        whyNone(placement, "a pod"),
        "Name more GPU types, clouds or data centers (RUNPOD_GPU_TYPE, RUNPOD_CLOUD, RUNPOD_DATA_CENTER_IDS), or wait.",
      )
    : failed(
        "places",
        whyNone(placement, "a pod"),
        "Change RUNPOD_GPU_TYPE, RUNPOD_CLOUD, RUNPOD_DATA_CENTER_IDS, the volume or RUNPOD_MAX_PRICE_USD_PER_HOUR.",
      );
}

function place({ gpuType, cloud, dataCenter, usdPerHour, stock }: Candidate, { open }: Placement): Finding {
  const cost = usdPerHour === null ? "price not known" : `$${usdPerHour} an hour`;
  const where = `${gpuType}, ${cloud}, ${dataCenter ?? "any data center"}: ${cost}, stock ${stock ?? "not known"}`;
  return ok("places", open.length === 1 ? where : `${where}; then ${open.length - 1} more`);
}

function price({ usdPerHour }: Candidate, budget: Subject["config"]["budget"]): Finding {
  const { maxHourlySpendUsd: rate, dailyBudgetUsd: day } = budget;
  if (rate === undefined && day === undefined) {
    return warning(
      "budget",
      "no ceiling: pods may cost without limit",
      "Set MAX_HOURLY_SPEND_USD or DAILY_BUDGET_USD.",
    );
  }
  const ceilings = [rate === undefined ? [] : [`$${rate} an hour`], day === undefined ? [] : [`$${day} a day`]].flat();
  return usdPerHour !== null && rate !== undefined && usdPerHour > rate
    ? failed(
        "budget",
        `one pod costs $${usdPerHour} an hour, and MAX_HOURLY_SPEND_USD is ${rate}`,
        "Raise it, or choose a cheaper GPU type.",
      )
    : ok("budget", ceilings.join(", "));
}

/** The names that share most words with what was asked for. */
function nearest(wanted: string, known: readonly string[]): string {
  const words = new Set(wanted.toLowerCase().split(/\W+/));
  const shared = (name: string) =>
    name
      .toLowerCase()
      .split(/\W+/)
      .filter((word) => words.has(word)).length;
  const close = known.filter((name) => shared(name) > 1).toSorted((a, b) => shared(b) - shared(a));
  const shown = (close.length === 0 ? known : close).slice(0, 5);
  return `Set RUNPOD_GPU_TYPE to an id of the catalog, such as ${shown.join(", ")}`;
}
