import type { Logger } from "pino";
import type { RunpodClient } from "../../runpod/client.ts";
import type { PodLogLine, WorkerStore } from "../../supabase/worker-store.ts";

const SOURCES = ["system", "container"] as const;
const KEPT_LINES = 40;
/** A running container's log has no end. */
const QUIET_MS = 500;
/** The pod costs money while its log is read. */
const LONGEST_WAIT_MS = 10_000;
/** Variables of a pod whose values say nothing that is secret, and that a readable log may hold. */
const PLAIN =
  /^(WORKER_(ID|HEARTBEAT_MS|POLL_MS|MAX_LIFETIME_SEC|ENGINE)|SUPABASE_(URL|VIDEO_BUCKET)|DB_TYPE|POSTGRES_TABLE_NAME|POD_ENDS_AT(_SEC)?|RUNPOD_(API_URL|VOLUME_MOUNT_PATH|POD_ID)|GPU_POOL(_DEPLOYMENT)?|HEADLESS_WAN2GP_\w+|PUBLIC_KEY)$/;
/** Credentials of this application, of the provider and of Supabase, whoever printed them. */
const SECRET_FORMS = /\b(gpw_|gpb_|rpa_|sb_secret_)[\w-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]+/g;

interface PodLogDeps {
  readonly runpod: Pick<RunpodClient, "readPodLog">;
  readonly workers: Pick<WorkerStore, "wantsPodLog" | "addPodLog">;
  readonly logger: Logger;
}

/**
 * Keeps the last lines of a failed worker's pod in its diagnostics, before the pod is deleted with its log. It never
 * fails: the deletion must not wait for a log.
 * @param env of the pod, as the provider shows it; null: unknown
 */
export async function keepPodLog(
  { runpod, workers, logger }: PodLogDeps,
  id: string,
  podId: string,
  env: Readonly<Record<string, string>> | null,
): Promise<void> {
  try {
    if (!(await workers.wantsPodLog(id))) {
      return;
    }
    const secrets = Object.entries(env ?? {}).flatMap(([name, value]) => (PLAIN.test(name) ? [] : [value]));
    const signal = AbortSignal.timeout(LONGEST_WAIT_MS);
    const answers = await Promise.all(
      SOURCES.map(async (source) => ({
        source,
        answer: await runpod.readPodLog(podId, { source, tail: KEPT_LINES, quietMs: QUIET_MS, secrets, signal }),
      })),
    );
    const lines = answers.flatMap(({ source, answer }): PodLogLine[] =>
      answer.kind === "read"
        ? answer.lines.map(({ text }) => ({ source, text: text.replaceAll(SECRET_FORMS, "[redacted]") }))
        : [],
    );
    const failures = answers.flatMap(({ source, answer }) =>
      answer.kind === "unknown"
        ? [`${source}: ${answer.detail}`]
        : answer.kind === "absent"
          ? [`${source}: no pod`]
          : [],
    );
    await workers.addPodLog(id, lines.length > 0 ? { lines } : { error: failures.join("; ") || "the log is empty" });
  } catch (error) {
    logger.warn({ worker: id, podId, err: error }, "the log of the failed worker's pod could not be kept");
  }
}
