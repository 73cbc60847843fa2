import type { Logger } from "pino";
import { backOffMs } from "./retry.ts";

/** Checked every minute: setTimeout overflows after 24.8 days, and the clock may be adjusted. */
const LONGEST_WAIT_MS = 60_000;
const FIRST_RETRY_MS = 1_000;
const SLOWEST_RETRY_MS = 60_000;
const REQUEST_TIMEOUT_MS = 15_000;
const REFUSALS: ReadonlySet<number> = new Set([401, 403]);

export interface FuseSettings {
  /** When the pod must be gone, in ms epoch. */
  readonly endsAtMs: number;
  readonly podId: string;
  /** The key that Runpod injects into the pod, valid for this pod alone. */
  readonly apiKey: string;
  /** Base address of the provider's API, without a slash at its end. */
  readonly apiUrl: string;
}

export interface Fuse {
  isBurning(): boolean;
  /** Begins to delete the pod, unless that is under way already. Resolves when `burnt` does. */
  burn(): Promise<void>;
  /** Resolves when the provider has deleted the pod or does not know it; never rejects. */
  readonly burnt: Promise<void>;
}

interface FuseDeps {
  readonly logger: Logger;
  /** Called at `endsAtMs`, unless `burn` was called before. */
  readonly onEnd: (why: string) => void;
}

/**
 * Deletes this process's own pod at a given instant, at once if that is past. It needs neither database nor Temporal,
 * so no pod bills without end. It keeps the process alive and tries without end.
 */
export function lightFuse(settings: FuseSettings, { logger, onEnd }: FuseDeps): Fuse {
  const { endsAtMs, podId } = settings;
  let burning = false;
  let resolve: () => void = () => undefined;
  const burnt = new Promise<void>((settle) => (resolve = settle));

  function burn(): Promise<void> {
    if (!burning) {
      burning = true;
      void deletePod(settings, logger).then(resolve);
    }
    return burnt;
  }

  function wait(): void {
    if (burning) {
      return;
    }
    const leftMs = endsAtMs - Date.now();
    if (leftMs > 0) {
      setTimeout(wait, Math.min(leftMs, LONGEST_WAIT_MS));
      return;
    }
    const why = `pod ${podId} has outlived its end, ${new Date(endsAtMs).toISOString()}`;
    logger.error(`${why}, and nobody has deleted it: the GPU worker deletes it now`);
    void burn();
    onEnd(why);
  }

  wait();
  return { isBurning: () => burning, burn, burnt };
}

async function deletePod(settings: FuseSettings, logger: Logger): Promise<void> {
  for (let failures = 1; ; failures += 1) {
    const { isGone, isRefused, detail } = await tryDelete(settings);
    if (isGone) {
      logger.info(`pod ${settings.podId} is deleted: ${detail}`);
      return;
    }
    const waitMs = isRefused ? SLOWEST_RETRY_MS : backOffMs(failures, FIRST_RETRY_MS, SLOWEST_RETRY_MS);
    const message = `pod ${settings.podId} could not be deleted and may be billing: ${detail}; trying again`;
    logger[isRefused ? "error" : "warn"]({ failures, wait_ms: waitMs }, message);
    await new Promise((wake) => setTimeout(wake, waitMs));
  }
}

async function tryDelete({ apiUrl, podId, apiKey }: FuseSettings) {
  try {
    const answer = await fetch(`${apiUrl}/pods/${podId}`, {
      method: "DELETE",
      // Runpod's proxy refuses requests without a user agent.
      headers: { authorization: `Bearer ${apiKey}`, "user-agent": "gpu-pool-worker" },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    await answer.body?.cancel();
    const { status } = answer;
    // An HTML page comes from Runpod's proxy, not from its API, so its 404 says nothing about the pod.
    const isPage = answer.headers.get("content-type")?.includes("text/html") === true;
    const isGone = status === 204 || (status === 404 && !isPage);
    return { isGone, isRefused: REFUSALS.has(status), detail: `HTTP ${status}${isPage ? " with an HTML page" : ""}` };
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } };
    return { isGone: false, isRefused: false, detail: `no answer (${cause?.code ?? message})` };
  }
}
