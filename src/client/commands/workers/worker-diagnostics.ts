import { loadConfig } from "../../../config/config.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import type { PoolSettings } from "../../../contract/pool-settings.ts";
import type { PreparedManifest } from "../../../policy/volume-fit.ts";
import { createRunpodClient } from "../../../runpod/client.ts";
import type { SeenWorker } from "../../../supabase/fleet/fleet-store.ts";
import { jobStore } from "../../../supabase/jobs/job-store.ts";
import { journalStore } from "../../../supabase/journal-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { findWorker } from "../../find-by-prefix.ts";
import type { JsonOptions } from "../../options.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { type InsidePod, lookInside } from "./inside-pod.ts";

const MOST_RECORDS = 3;
const SHOWN_LINES = 20;

const NO_ADDRESS: InsidePod = {
  commit: null,
  lines: [],
  problem:
    "the provider shows no SSH address of its own for this pod: that takes WORKER_SSH_PUBLIC_KEY when it is rented, " +
    "a container that runs, and a host with a public address (its proxy takes no commands)",
};

export interface Diagnostics {
  readonly worker: Pick<SeenWorker, "id" | "status" | "status_reason" | "boot_stage" | "pod_id">;
  /** Profile and image by its pool's settings. */
  readonly runs: string;
  /** The commit of the program's source, and how it is known; null: not known. */
  readonly commit: { readonly hash: string; readonly from: "the pod" | "the volume's manifest" } | null;
  /** The pod as the provider shows it now, in words. */
  readonly provider: string;
  readonly inside: InsidePod | null;
  /** The records that were kept when it failed, the newest first. */
  readonly records: readonly { readonly at: string; readonly reason: string; readonly details: unknown }[];
}

/** Shows what is known of why a worker is as it is; also of one that is gone. It changes nothing. @throws ClientError */
export async function showDiagnostics(context: Context, given: string, { json }: JsonOptions): Promise<void> {
  const { output } = context;
  const found = await diagnose(context, await findWorker(context, given));
  if (json) {
    output.printJson(found);
  } else {
    output.print(renderDiagnostics(found, Date.now(), output.style));
  }
}

async function diagnose(context: Context, worker: SeenWorker): Promise<Diagnostics> {
  const config = loadConfig(context.env, { need: ["database"] });
  const database = await context.connections.database();
  const [stored, kept] = await Promise.all([
    poolStore(database).find(worker.pool ?? ""),
    journalStore(database).diagnostics(worker.id, MOST_RECORDS),
  ]);
  const settings = settingsInForce(config, stored?.environment ?? {}, stored?.own ?? {});
  const { provider, inside } = await lookAtPod(context, worker, settings);
  const { id, status, status_reason, boot_stage, pod_id } = worker;
  return {
    worker: { id, status, status_reason, boot_stage, pod_id },
    runs: `profile ${settings.workerProfile}, image ${settings.workerImage}`,
    commit: await commitOf(context, settings, inside),
    provider,
    inside,
    records: kept.map(({ collected_at: at, reason, details }) => ({ at, reason, details })),
  };
}

async function lookAtPod(
  context: Context,
  { pod_id: podId, gone_at: gone }: SeenWorker,
  settings: PoolSettings,
): Promise<{ readonly provider: string; readonly inside: InsidePod | null }> {
  if (podId === null || gone !== null) {
    return { provider: podId === null ? "it never had a pod" : `pod ${podId} is gone`, inside: null };
  }
  if (!context.env["RUNPOD_API_KEY"]) {
    return { provider: `pod ${podId}; RUNPOD_API_KEY is not set, so the provider was not asked`, inside: null };
  }
  const { apiUrl, apiKey, timeoutMs, sshPrivateKeyPath } = loadConfig(context.env, {
    need: ["runpod"],
  }).runpod;
  const runpod = createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool" });
  try {
    const answer = await runpod.getPod(podId);
    if (answer.kind !== "found") {
      const why = answer.kind === "absent" ? "the provider knows it no more" : answer.detail;
      return { provider: `pod ${podId}: ${why}`, inside: null };
    }
    const { status, uptimeSec, ssh } = answer.pod;
    const up = uptimeSec === null ? "its container has not started" : `up for ${formatDuration(uptimeSec * 1000)}`;
    return {
      provider: `pod ${podId}: ${status}, ${up}`,
      inside:
        sshPrivateKeyPath === undefined
          ? null
          : ssh === undefined
            ? NO_ADDRESS
            : await lookInside(context, ssh, sshPrivateKeyPath, settings),
    };
  } finally {
    await runpod.close();
  }
}

async function commitOf(
  context: Context,
  { workerProfile, networkVolumeId }: PoolSettings,
  inside: InsidePod | null,
): Promise<Diagnostics["commit"]> {
  if (inside !== null && inside.commit !== null) {
    return { hash: inside.commit, from: "the pod" };
  }
  if (workerProfile !== "headless-wan2gp" || !networkVolumeId) {
    return null;
  }
  const prepared = await jobStore(await context.connections.database()).preparedVolumes();
  const manifest = prepared.find(({ volume_id: id }) => id === networkVolumeId)?.manifest as
    | PreparedManifest
    | undefined;
  return manifest?.commit === undefined ? null : { hash: manifest.commit, from: "the volume's manifest" };
}

export function renderDiagnostics(found: Diagnostics, nowMs: number, style: Style): string[] {
  const { worker, runs, commit, provider, inside, records } = found;
  const reason = worker.status_reason === null ? "" : `: ${worker.status_reason}`;
  const from = commit === null ? "commit not known" : `commit ${commit.hash} (by ${commit.from})`;
  return [
    `${style("bold", plain(worker.id))} ${plain(`${worker.status ?? "-"}${reason}`)}`,
    plain(`boot stage ${worker.boot_stage}; ${provider}`),
    plain(`${runs}, ${from}`),
    ...describeInside(inside, style),
    ...(records.length === 0 ? ["", "it has not failed, so nothing was kept"] : []),
    ...records.flatMap((record) => ["", ...describeRecord(record, nowMs, style)]),
  ];
}

function describeInside(inside: InsidePod | null, style: Style): string[] {
  if (inside === null) {
    return [
      style(
        "dim",
        "not looked at from inside: that takes RUNPOD_SSH_PRIVATE_KEY_PATH and a pod with WORKER_SSH_PUBLIC_KEY",
      ),
    ];
  }
  return inside.problem === null
    ? ["", "from inside:", ...inside.lines.map((line) => `  ${plain(line)}`)]
    : [plain(inside.problem)];
}

function describeRecord(
  { at, reason, details }: Diagnostics["records"][number],
  nowMs: number,
  style: Style,
): string[] {
  const { pod_log: log, logs, task } = (details ?? {}) as Details;
  const podLines = (log?.lines ?? []).map(({ source, text }) => `${source}: ${text}`);
  const ownLines = (logs ?? []).map(({ level, message }) => `${level}: ${message}`);
  return [
    style("red", plain(`failed ${formatDuration(nowMs - Date.parse(at))} ago: ${reason}`)),
    ...(task
      ? [
          plain(
            `  it held task ${task.task_id} (${task.task_type}), attempt ${task.attempt}, for ${Math.round(task.running_sec)} s`,
          ),
        ]
      : []),
    ...section("its own last lines", ownLines),
    ...section("the last lines of its pod", log?.error === undefined ? podLines : [log.error]),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`  ${title}:`, ...lines.slice(-SHOWN_LINES).map((line) => `    ${plain(line)}`)];
}

/** As `worker_diagnostics.details` has it; another version may have left parts out. */
interface Details {
  readonly task?: {
    readonly task_id: string;
    readonly task_type: string;
    readonly attempt: number;
    readonly running_sec: number;
  } | null;
  readonly logs?: readonly { readonly level: string; readonly message: string }[];
  readonly pod_log?: {
    readonly lines?: readonly { readonly source: string; readonly text: string }[];
    readonly error?: string;
  };
}
