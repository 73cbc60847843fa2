import type { Logger } from "pino";
import { backOffMs } from "./retry.ts";

/** Below the 24.8 days at which setTimeout overflows; and the clock may be set while the fuse waits. */
const LONGEST_WAIT_MS = 60_000;
const FIRST_RETRY_MS = 1_000;
const SLOWEST_RETRY_MS = 60_000;
const REQUEST_TIMEOUT_MS = 15_000;
const REFUSALS: ReadonlySet<number> = new Set([401, 403]);

export interface FuseSettings {
  /** When the pod has to be gone, in ms epoch. */
  endsAtMs: number;
  podId: string;
  /** The provider's key for this pod alone. */
  apiKey: string;
  /** Base address of the provider's API, without a slash at its end. */
  apiUrl: string;
}

export interface Fuse {
  isBurning(): boolean;
  /** Has the pod deleted, now if it is not under way. Resolves as `burnt` does. */
  burn(): Promise<void>;
  /** Resolves when the provider has deleted the pod or knows it no more; never rejects. */
  readonly burnt: Promise<void>;
}

interface FuseDeps {
  logger: Logger;
  /** Told when the instant has come; not when `burn` was called before. */
  onEnd: (why: string) => void;
}

/**
 * Ends this process's own pod at a given instant, at once if that is past: it needs no database, no pool and no
 * workflow, so no pod bills for ever. It keeps the process alive and never gives up.
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
    logger.error(`${why}, and nobody has deleted it: the worker does`);
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
    const message = `pod ${settings.podId} could not be deleted and may be billing: ${detail}; trying on`;
    logger[isRefused ? "error" : "warn"]({ failures, wait_ms: waitMs }, message);
    await new Promise((wake) => setTimeout(wake, waitMs));
  }
}

async function tryDelete({ apiUrl, podId, apiKey }: FuseSettings) {
  try {
    const answer = await fetch(`${apiUrl}/pods/${podId}`, {
      method: "DELETE",
      // The provider's edge refuses requests without a user agent.
      headers: { authorization: `Bearer ${apiKey}`, "user-agent": "gpu-pool-worker" },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    await answer.body?.cancel();
    const { status } = answer;
    // A page is the edge's answer, not the API's.
    const isPage = answer.headers.get("content-type")?.includes("text/html") === true;
    const isGone = status === 204 || (status === 404 && !isPage);
    return { isGone, isRefused: REFUSALS.has(status), detail: `HTTP ${status}${isPage ? " with an HTML page" : ""}` };
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } };
    return { isGone: false, isRefused: false, detail: `no answer (${cause?.code ?? message})` };
  }
}
